"""Who may ask a cluster for what: signatures, policies, and the cluster's own role."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.services.dax.client import (
    BATCH_GET,
    BATCH_WRITE,
    BY_ID,
    DELETE,
    ENDPOINTS,
    GREETING,
    KEY,
    ONE,
    TRANSACT_WRITE,
    UPDATE,
    Client,
    refusal,
    refused,
)
from tests.services.dax.helpers import ARN, cafe, open_cluster, role, stored, table
from tests.services.kms.helpers import allow, user
from tests.services.world import ACCOUNT, World, told


@told
async def test_a_request_needs_its_action_on_the_cluster(world: World) -> None:
    port = await cafe(world)
    await stored(world, ONE)
    asked: dict[str, tuple[Any, ...]] = {
        "GetItem": (263244906, b"menu", b"espresso", None),
        "PutItem": (-2106490455, b"menu", b"tea", b"\x01", None),
        "DeleteItem": (DELETE, b"menu", b"tea", None),
        "UpdateItem": (UPDATE, b"menu", b"tea", None),
        "Query": (-931250863, b"menu", BY_ID, None),
        "Scan": (-1875390620, b"menu", None),
        "BatchGetItem": (BATCH_GET, {"menu": [False, None, [b"tea"]]}, None),
        "BatchWriteItem": (BATCH_WRITE, {"menu": [b"tea", None]}, None),
    }
    for name, request in asked.items():
        keys = await keys_of(world, f"{name}-no", allow("dax:*", f"{ARN}other"))
        client = await Client.to(world, port, *keys)
        error = await refused(client.ask(*request))
        assert (error.code, error.numbers) == ("AccessDeniedException", [4, 37, 38, 42])
        assert f"dax:{name} on resource: {ARN}c" in str(error)
        keys = await keys_of(world, f"{name}-yes", allow(f"dax:{name}", f"{ARN}c"))
        await (await Client.to(world, port, *keys)).ask(*request)


async def keys_of(world: World, name: str, *statements: dict[str, Any]) -> tuple[str, str]:
    """A user's access key and secret."""
    await user(world, name, *statements)
    made = (await world.call("iam", "create_access_key", UserName=name))["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


@told
async def test_parts_of_a_transaction_know_what_encloses_them(world: World) -> None:
    port = await cafe(world)
    only = {"StringEquals": {"dax:EnclosingOperation": "TransactWriteItems"}}
    keys = await keys_of(world, "one", allow("dax:DeleteItem", f"{ARN}c", Condition=only))
    client = await Client.to(world, port, *keys)
    assert await refusal(client.ask(DELETE, b"menu", b"x", None)) == "AccessDeniedException"
    whole = ([b"menu"], [b"x"], None, None, [1], None, None, None)
    await client.ask(TRANSACT_WRITE, [7], *whole)
    assert await refusal(client.ask(TRANSACT_WRITE, [12], *whole)) == "AccessDeniedException"


@told
async def test_what_the_clusters_role_may_not_nobody_does_by_dax(world: World) -> None:
    await role(world, "dynamodb:DescribeTable", "dynamodb:GetItem")
    await table(world)
    made = await open_cluster(world)
    client = await Client.to(world, made["Nodes"][0]["Endpoint"]["Port"])
    assert await client.get("menu", KEY) is None
    error = await refused(client.put("menu", ONE))
    assert error.code == "AccessDeniedException"
    assert "assumed-role/cache/c" in str(error)
    assert "dynamodb:PutItem" in str(error)
    await world.call("iam", "delete_role_policy", RoleName="cache", PolicyName="own")
    assert await client.get("menu", KEY) is None, "the cache asks nobody"
    other = {"id": {"S": "tea"}}
    assert await refusal(client.get("menu", other)) == "AccessDeniedException"


@told
async def test_signatures_are_checked(world: World) -> None:
    port = await cafe(world)
    now = datetime.fromtimestamp(world.host.seconds(), UTC)
    key, secret = await keys_of(world, "one", allow("dax:*"))
    wrong: list[tuple[tuple[str, str], dict[str, Any], str]] = [
        ((ACCOUNT, "wrong"), {}, "InvalidSignatureException"),
        (("AKIAAAAAAAAAAAAAAAAA", "test"), {}, "UnrecognizedClientException"),
        ((ACCOUNT, "test"), {"region": "eu-west-1"}, "InvalidSignatureException"),
        ((ACCOUNT, "test"), {"at": now - timedelta(minutes=16)}, "InvalidSignatureException"),
        ((key, secret[:-1]), {}, "InvalidSignatureException"),
    ]
    for keys, more, code in wrong:
        client = await Client.to(world, port)
        client.authorize(*keys, **more)
        assert await refusal(client.ask(ENDPOINTS)) == code
        client.authorize(key, secret)
        assert await client.ask(ENDPOINTS), "the connection goes on"
    client = await Client.to(world, port, key, secret)
    await world.call("iam", "update_access_key", UserName="one", AccessKeyId=key, Status="Inactive")
    assert await refusal(client.ask(ENDPOINTS)) == "UnrecognizedClientException"
    other = await Client.to(world, port, "111111111111", "test")
    assert await refusal(other.ask(ENDPOINTS)) == "AccessDeniedException"
    world.host.run_to(world.host.seconds() + 16 * 60)
    client.authorize(ACCOUNT, "test", at=now)
    assert await refusal(client.ask(ENDPOINTS)) == "InvalidSignatureException"
    client.authorize(ACCOUNT, "test")
    assert await client.ask(ENDPOINTS)
    world.host.run_to(world.host.seconds() + 16 * 60)
    assert await refusal(client.ask(ENDPOINTS)) == "MissingAuthenticationTokenException"


@told
async def test_sessions_of_roles_speak_too(world: World) -> None:
    port = await cafe(world)
    made = await world.call("sts", "get_session_token", caller=await user(world, "two"))
    given = made["Credentials"]
    keys = (given["AccessKeyId"], given["SecretAccessKey"])
    client = await Client.to(world, port, *keys, given["SessionToken"])
    assert await client.ask(ENDPOINTS)
    client.authorize(*keys)
    assert await refusal(client.ask(ENDPOINTS)) == "UnrecognizedClientException"
    client.authorize(*keys, given["SessionToken"])
    await world.advance(days=3)
    assert await refusal(client.ask(ENDPOINTS)) == "ExpiredTokenException"


@told
async def test_who_says_nothing_of_who_speaks_is_refused(world: World) -> None:
    port = await cafe(world)
    client = await Client.to(world, port)
    client.close()
    silent = await Client.silent(world, port)
    silent.send(GREETING)
    assert await refusal(silent.ask(ENDPOINTS)) == "MissingAuthenticationTokenException"


@told
async def test_policies_see_whether_a_connection_is_secure(world: World) -> None:
    secure = {"Bool": {"aws:SecureTransport": "true"}}
    trusting = ssl.create_default_context()
    # The certificate is of the test's time, not of the machine's.
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    plain = await cafe(world)
    made = await open_cluster(world, ClusterName="d", ClusterEndpointEncryptionType="TLS")
    keys = await keys_of(world, "one", allow("dax:GetItem", Condition=secure))
    client = await Client.to(world, plain, *keys)
    assert await refusal(client.get("menu", KEY)) == "AccessDeniedException"
    port = made["Nodes"][0]["Endpoint"]["Port"]
    client = await Client.to(world, port, *keys, tls=trusting)
    assert await client.get("menu", KEY) is None
    client.close()
    await world.settle()
