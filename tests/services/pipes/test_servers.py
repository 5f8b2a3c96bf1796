"""API destinations in pipes: as the target, and as what enriches events on their way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.services.dynamodb.helpers import put
from tests.services.events.test_destinations import KEY, destination, outside, until
from tests.services.pipes.test_pipes import ACTIONS, pipe, role
from tests.services.pipes.test_streams import READ, checkpoints, streaming, table
from tests.services.sqs.helpers import counts, make, receive, send
from tests.services.world import REGION, World, refusal, told

CALL = "events:InvokeApiDestination"


async def came(world: World, url: str, count: int) -> list[Any]:
    """What has come to a queue, once so many are there."""
    found: list[Any] = []
    for _ in range(400):
        await until(world, lambda: True)
        found += [json.loads(one["Body"]) for one in await receive(world, url)]
        if len(found) >= count:
            return found
    raise AssertionError(found)


async def settled(world: World, holds: Callable[[], bool]) -> None:
    await until(world, holds)
    await world.settle()


@told
async def test_a_server_is_called_for_each_event_as_the_parameters_say(world: World) -> None:
    await role(world, *ACTIONS, CALL)
    source = await make(world, "from")
    with outside() as server:
        arn = await destination(world, f"{server.url}/shops/*/orders", "API_KEY", KEY)
        given = {
            "InputTemplate": '{"tea": <$.body.tea>}',
            "HttpParameters": {
                "PathParameterValues": ["$.body.shop"],
                "HeaderParameters": {"x-shop": "$.body.shop", "x-fix": "1"},
                "QueryStringParameters": {"tea": "$.body.tea"},
            },
        }
        await pipe(world, Target=arn, TargetParameters=given)
        await send(world, source, json.dumps({"shop": "north", "tea": 2}))
        await settled(world, lambda: len(server.asked) == 1)
        method, path, headers, body = server.asked[0]
        assert (method, path) == ("POST", "/shops/north/orders?tea=2")
        assert (headers["x-shop"], headers["x-fix"], headers["x-key"]) == ("north", "1", "s3cret")
        assert json.loads(body) == {"tea": 2}
        for _ in range(100):
            await until(world, lambda: True)
            if await counts(world, source) == (0, 0, 0):
                break
        assert await counts(world, source) == (0, 0, 0)


@told
async def test_what_a_server_refuses_stays_in_the_queue(world: World) -> None:
    await role(world, *ACTIONS, CALL)
    source = await make(world, "from", VisibilityTimeout="10")
    with outside() as server:
        arn = await destination(world, server.url, "API_KEY", KEY)
        server.answers = [500, 200]
        await pipe(world, Target=arn)
        await send(world, source, "x")
        await settled(world, lambda: len(server.asked) == 1)
        assert await counts(world, source) == (0, 1, 0)
        await world.advance(11)
        await settled(world, lambda: len(server.asked) == 2)


@told
async def test_an_enrichment_makes_of_an_event_another_several_or_none(world: World) -> None:
    await role(world, *ACTIONS, CALL)
    source, target = await make(world, "from"), await make(world, "to")

    def answer(body: str) -> bytes:
        order = json.loads(body)["order"]
        made = [{"cup": number} for number in range(int(order))]
        return json.dumps(made).encode() if order != 1 else b'{"cup": "only"}'

    with outside() as server:
        server.says = answer
        arn = await destination(world, f"{server.url}/*", "API_KEY", KEY)
        enriching = {
            "InputTemplate": '{"order": <$.body.n>}',
            "HttpParameters": {"PathParameterValues": ["$.body.n"]},
        }
        template = {"InputTemplate": '{"brew": <$.cup>, "by": "<aws.pipes.enrichment-arn>"}'}
        await pipe(world, Enrichment=arn, EnrichmentParameters=enriching, TargetParameters=template)
        shown = await world.call("pipes", "describe_pipe", Name="p")
        assert (shown["Enrichment"], shown["EnrichmentParameters"]) == (arn, enriching)
        for number in (0, 1, 3):
            await send(world, source, json.dumps({"n": number}))
        found = await came(world, target, 4)
        assert sorted(path for _, path, *_ in server.asked) == ["/0", "/1", "/3"]
    assert sorted(str(one["brew"]) for one in found) == ["0", "1", "2", "only"]
    assert {one["by"] for one in found} == {arn}


@told
async def test_a_stream_waits_for_an_enrichment_that_fails(world: World) -> None:
    await role(world, *ACTIONS, *READ, CALL)
    target = await make(world, "to")
    source = await table(world)
    with outside() as server:
        server.says = lambda body: json.dumps({"id": json.loads(body)}).encode()
        server.answers = [503]
        arn = await destination(world, server.url, "API_KEY", KEY)
        await put(world, id="a")
        await streaming(
            world,
            source,
            Enrichment=arn,
            EnrichmentParameters={"InputTemplate": "<$.dynamodb.Keys.id.S>"},
        )
        await settled(world, lambda: len(server.asked) == 1)
        for _ in range(100):
            await until(world, lambda: True)
            if any(one.waiting for one in await checkpoints(world)):
                break
        assert await receive(world, target) == []
        await world.advance(5)
        assert await came(world, target, 1) == [{"id": "a"}]


@told
async def test_a_role_that_may_not_call_the_server_does_not(world: World) -> None:
    await role(world, *ACTIONS)
    source = await make(world, "from")
    with outside() as server:
        arn = await destination(world, server.url, "API_KEY", KEY)
        await pipe(world, Target=arn)
        await send(world, source, "x")
        await world.settle()
        assert server.asked == []
        assert await counts(world, source) == (0, 1, 0)


@told
async def test_enrichments_that_are_not_here_are_refused(world: World) -> None:
    await role(world, *ACTIONS)
    where = f"{REGION}:000000000000"
    for kind, arn in (
        ("states", f"arn:aws:states:{where}:stateMachine:m"),
        ("execute-api", f"arn:aws:execute-api:{where}:api/stage/GET/"),
        ("events", f"arn:aws:events:{where}:event-bus/default"),
    ):
        assert await refusal(pipe(world, Enrichment=arn)) == (
            "NotImplemented",
            f"pipes: enrichments by {kind} exist in AWS and not yet in this cloud",
        )


@told
async def test_an_answer_may_be_long_and_is_never_cut(world: World) -> None:
    await role(world, *ACTIONS, CALL)
    source = await make(world, "from")
    target = await make(world, "to")
    with outside() as server:
        server.says = lambda body: json.dumps({"text": "x" * 200_000}).encode()
        arn = await destination(world, server.url, "API_KEY", KEY)
        await pipe(world, Enrichment=arn)
        await send(world, source, "x")
        (found,) = await came(world, target, 1)
        assert len(found["text"]) == 200_000
        server.says = lambda body: json.dumps({"text": "x" * 1_100_000}).encode()
        await send(world, source, "y")
        await settled(world, lambda: len(server.asked) == 2)
        for _ in range(20):
            await until(world, lambda: True)
            await asyncio.sleep(0.005)
        assert await receive(world, target) == []
        assert await counts(world, source) == (0, 1, 0)
