"""API destinations: servers outside, really called."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from doppio.services.events.records import Delivery
from tests.outside import Asked, Said, serving
from tests.services.events.helpers import put, queue, rule
from tests.services.sns.helpers import heard
from tests.services.world import World, refusal, run, told


class Outside:
    """A server: what it was asked, and the statuses of its next answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], str]] = []
        self.answers: list[int] = []
        self.says: Callable[[str], bytes] = lambda body: b""
        self.retry_after = ""
        self.url = ""


@contextmanager
def outside() -> Iterator[Outside]:
    state = Outside()

    def answer(asked: Asked) -> Said:
        body = asked.body.decode()
        state.asked.append((asked.method, asked.path, dict(asked.headers), body))
        token = json.dumps({"access_token": "t0ken", "expires_in": 60}).encode()
        said = token if asked.path.startswith("/token") else state.says(body)
        headers = {"retry-after": state.retry_after} if state.retry_after else {}
        return Said(said, state.answers.pop(0) if state.answers else 200, headers)

    with serving(answer) as port:
        state.url = f"http://127.0.0.1:{port}"
        yield state


async def until(world: World, holds: Callable[[], bool]) -> None:
    """Let real threads work until something holds."""
    for _ in range(400):
        await world.settle()
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to hold")


async def delivered(world: World, tries: list[int]) -> None:
    """Wait until the deliveries that are left have been tried so often."""
    for _ in range(400):
        await world.settle()
        rows = await world.cloud.root_context().read().list(Delivery, limit=9)
        if [row.tries for row in rows] == tries:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came to hold")


async def destination(world: World, url: str, kind: str, auth: Any, **more: Any) -> str:
    """A connection and an API destination; the ARN of the latter."""
    connection = await world.call(
        "events",
        "create_connection",
        Name="c",
        AuthorizationType=kind,
        AuthParameters=auth,
    )
    made = await world.call(
        "events",
        "create_api_destination",
        **{
            "Name": "d",
            "ConnectionArn": connection["ConnectionArn"],
            "InvocationEndpoint": url,
            "HttpMethod": "POST",
            **more,
        },
    )
    arn: str = made["ApiDestinationArn"]
    return arn


KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "s3cret"}}


@told
async def test_a_server_is_called_as_target_and_connection_say(world: World) -> None:
    with outside() as server:
        auth = {
            **KEY,
            "InvocationHttpParameters": {
                "HeaderParameters": [{"Key": "x-always", "Value": "1", "IsValueSecret": True}],
                "BodyParameters": [{"Key": "more", "Value": "m"}],
            },
        }
        arn = await destination(world, f"{server.url}/shops/*/sales", "API_KEY", auth)
        target = {
            "Arn": arn,
            "InputPath": "$.detail",
            "HttpParameters": {
                "PathParameterValues": ["a/b"],
                "QueryStringParameters": {"tea": "$.detail.tea"},
                "HeaderParameters": {"x-mine": "2"},
            },
        }
        await rule(world, "r", target)
        await put(world)
        await until(world, lambda: bool(server.asked))
        method, path, headers, body = server.asked[0]
        assert (method, path) == ("POST", "/shops/a%2Fb/sales?tea=2")
        assert json.loads(body) == {"tea": 2, "more": "m"}
        assert (headers["x-key"], headers["x-always"], headers["x-mine"]) == ("s3cret", "1", "2")
        assert headers["user-agent"] == "Amazon/EventBridge/ApiDestinations"
        described = await world.call("events", "describe_connection", Name="c")
        assert "s3cret" not in json.dumps(described, default=str)
        assert described["ConnectionState"] == "AUTHORIZED"
        secret = await world.call(
            "secretsmanager", "get_secret_value", SecretId=described["SecretArn"]
        )
        assert json.loads(secret["SecretString"])["api_key_value"] == "s3cret"


@told
async def test_a_server_that_fails_is_tried_again_and_then_a_dead_letter(world: World) -> None:
    with outside() as server:
        server.answers = [500, 503]
        dead = await queue(world, "dead")
        arn = await destination(world, server.url, "API_KEY", KEY)
        target = {
            "Arn": arn,
            "RetryPolicy": {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60},
            "DeadLetterConfig": {"Arn": dead},
        }
        await rule(world, "r", target)
        await put(world)
        await delivered(world, [1])
        await world.advance(seconds=2)
        await delivered(world, [])
        assert len(server.asked) == 2
        (letter,) = await heard(world, dead)
        told = {name: one["StringValue"] for name, one in letter["MessageAttributes"].items()}
        assert told["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
        assert told["RETRY_ATTEMPTS"] == "1"
        assert told["TARGET_ARN"] == arn


@told
async def test_a_token_is_fetched_and_shown(world: World) -> None:
    with outside() as server:
        auth = {
            "OAuthParameters": {
                "ClientParameters": {"ClientID": "me", "ClientSecret": "pw"},
                "AuthorizationEndpoint": f"{server.url}/token",
                "HttpMethod": "POST",
            }
        }
        arn = await destination(world, f"{server.url}/in", "OAUTH_CLIENT_CREDENTIALS", auth)
        for _ in range(400):
            await world.settle()
            found = await world.call("events", "describe_connection", Name="c")
            if found["ConnectionState"] == "AUTHORIZED":
                break
            await asyncio.sleep(0.005)
        assert "client_secret=pw" in server.asked[0][3]
        await rule(world, "r", {"Arn": arn})
        await put(world)
        await until(world, lambda: len(server.asked) == 2)
        assert server.asked[1][1:2] == ("/in",)
        assert server.asked[1][2]["authorization"] == "Bearer t0ken"
        await world.advance(seconds=61)
        await put(world)
        await until(world, lambda: len(server.asked) == 4)
        assert [one[1] for one in server.asked] == ["/token", "/in", "/token", "/in"]


@told
async def test_a_server_is_called_no_more_often_than_its_rate(world: World) -> None:
    with outside() as server:
        rate = {"InvocationRateLimitPerSecond": 2}
        arn = await destination(world, server.url, "API_KEY", KEY, **rate)
        await rule(world, "r", {"Arn": arn})
        for _ in range(3):
            await put(world)
        await until(world, lambda: len(server.asked) == 2)
        await delivered(world, [0])
        assert len(server.asked) == 2
        await world.advance(seconds=1)
        await until(world, lambda: len(server.asked) == 3)


@told
async def test_a_connection_takes_its_secret_with_it(world: World) -> None:
    await destination(world, "https://example.test", "API_KEY", KEY)
    assert (await refusal(world.call("events", "create_connection", Name="c",
        AuthorizationType="API_KEY", AuthParameters=KEY)))[0] == "ResourceAlreadyExistsException"  # fmt: skip
    await world.call("events", "delete_connection", Name="c")
    assert (await world.call("secretsmanager", "list_secrets"))["SecretList"] == []
    found = await world.call("events", "describe_api_destination", Name="d")
    assert found["ApiDestinationState"] == "INACTIVE"


@pytest.mark.parametrize(
    ("said", "waits"),
    [("3600", 3_600), ("Tue, 01 Jan 2030 02:00:00 GMT", 7_200), ("soon", 0), ("0", 0)],
)
def test_a_server_that_says_when_to_come_again_is_not_asked_before(said: str, waits: int) -> None:
    async def story(world: World) -> None:
        with outside() as server:
            server.answers, server.retry_after = [503], said
            arn = await destination(world, server.url, "API_KEY", KEY)
            await rule(world, "r", {"Arn": arn})
            await put(world)
            await delivered(world, [1])
            if waits:
                await world.advance(waits - 2)
                assert len(server.asked) == 1
                await world.advance(3)
            else:
                await world.advance(2)
            await until(world, lambda: len(server.asked) == 2)
            await delivered(world, [])

    run(story)


@pytest.mark.parametrize(
    ("said", "limit"), [("-1", None), ("999999999999", "MaximumEventAgeInSeconds")]
)
def test_a_server_that_never_wants_to_be_asked_again_is_not(said: str, limit: str | None) -> None:
    async def story(world: World) -> None:
        dead = await queue(world, "dead")
        with outside() as server:
            server.answers, server.retry_after = [503], said
            arn = await destination(world, server.url, "API_KEY", KEY)
            await rule(world, "r", {"Arn": arn, "DeadLetterConfig": {"Arn": dead}})
            await put(world)
            await delivered(world, [])
            (letter,) = await heard(world, dead)
            told_of = {
                name: one["StringValue"] for name, one in letter["MessageAttributes"].items()
            }
            assert told_of["ERROR_CODE"] == "SDK_CLIENT_ERROR"
            assert told_of.get("EXHAUSTED_RETRY_CONDITION") == limit
            assert len(server.asked) == 1

    run(story)
