"""A gateway that was cut off from its database hears, when it is back, of what it has missed."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from doppio.app import Cloud, Settings
from doppio.wire.errors import AccessDenied
from tests.kernel.postgres_server import schema_url

ALLOW = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"},
    }
)
SECONDS_MAX = 8.0


async def cut_listeners(url: str) -> None:
    """End the connections on which gateways listen, as a restarted router would."""
    import asyncpg

    plain, _, schema = url.partition("&doppio_schema=")
    connection = await asyncpg.connect(plain)
    cut = await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1",
        f"LISTEN%{schema}%",
    )
    await connection.close()
    assert len(cut) == 2, "both listened"
    await asyncio.sleep(0.1)


def test_a_permission_taken_away_meanwhile_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = schema_url()
    # Long enough for the change to happen while nobody listens.
    monkeypatch.setattr("doppio.kernel.postgres_store.RETRY_SECONDS", (0.0, 0.5, 0.5))

    async def story() -> None:
        one, two = (Cloud(Settings(data=tmp_path / n, store_url=url)) for n in ("one", "two"))
        await one.start()
        await two.start()
        key = await furnish(one)
        await ask(two, key)
        await cut_listeners(url)
        where = {"UserName": "barista", "PolicyName": "p"}
        await one.enter(one.root_context(), "iam", "delete_user_policy", where)
        await denied(two, key)
        await one.close()
        await two.close()

    asyncio.run(story())


async def denied(cloud: Cloud, key: str) -> None:
    """Ask until it is denied."""
    until = time.monotonic() + SECONDS_MAX
    while time.monotonic() < until:
        try:
            await ask(cloud, key)
        except AccessDenied:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it stays allowed")


async def furnish(cloud: Cloud) -> str:
    """A user who may use SQS, and the id of its key."""

    async def iam(method: str, **req: Any) -> Any:
        return await cloud.enter(cloud.root_context(), "iam", method, req)

    await iam("create_user", UserName="barista")
    await iam("put_user_policy", UserName="barista", PolicyName="p", PolicyDocument=ALLOW)
    made = await iam("create_access_key", UserName="barista")
    key: str = made["AccessKey"]["AccessKeyId"]
    return key


async def ask(cloud: Cloud, key: str) -> None:
    """Something that the user needs a permission for."""
    found = await cloud.identities.credential(key, None)
    caller = found.caller
    context = cloud.context(
        caller, account=caller.account, region="us-east-1", request_id=cloud.ids.request_id()
    )
    await cloud.enter(context, "sqs", "list_queues", {})
