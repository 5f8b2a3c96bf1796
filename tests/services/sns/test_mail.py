"""With a mail server, SNS's mails leave this cloud; one that is busy is tried again."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import parse_qs, urlsplit

from doppio.machine.drivers import Machine
from doppio.services.sns.records import Delivery, Mail
from tests.machine.test_smtp_client import Server, mail_server
from tests.services.sns.helpers import topic
from tests.services.world import ACCOUNT, World, run


async def until_quiet(world: World) -> None:
    """Wait for the threads that speak with the mail server."""
    for _ in range(500):
        await world.settle()
        waiting = await world.cloud.root_context().read().list(Delivery, limit=10)
        if all(one.tries for one in waiting):
            return
        await asyncio.sleep(0.01)


def test_mails_are_confirmed_sent_and_tried_again() -> None:
    with mail_server() as server:

        async def story(world: World) -> None:
            await _story(world, server)

        run(story)


async def _story(world: World, server: Server) -> None:
    world.cloud.machine = Machine(("127.0.0.1", server.port))
    arn = await topic(world, DisplayName="Shop")
    await world.call("sns", "subscribe", TopicArn=arn, Protocol="email", Endpoint="ada@shop.de")
    await until_quiet(world)
    (asked,) = server.mails
    link = re.search(r"http\S+ConfirmSubscription\S+", asked.get_content())
    assert link is not None
    token = parse_qs(urlsplit(link.group()).query)["Token"][0]
    await world.call("sns", "confirm_subscription", TopicArn=arn, Token=token)

    server.answer = "450 busy"
    await world.call("sns", "publish", TopicArn=arn, Message="fresh beans", Subject="News")
    await until_quiet(world)
    assert len(server.mails) == 1
    server.answer = "250 OK"
    await world.advance(10)
    for _ in range(100):
        if len(server.mails) == 2:
            break
        await world.settle()
        await asyncio.sleep(0.01)
    told = server.mails[1]
    assert (told["Subject"], told["To"]) == ("News", "ada@shop.de")
    assert told["From"].startswith("Shop <")
    assert told.get_content().startswith("fresh beans")
    reader = world.cloud.root_context().read()
    assert await reader.list(Mail, (ACCOUNT,), limit=1) == []
