"""Rotation: kept appointments, functions that fail, and what may be cancelled.

The functions here are a small one of the tests' own: real ones are in Lambda's stories of who calls them.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context
from doppio.kernel.identity import root_of
from doppio.kernel.service import Need, Service
from doppio.services.secretsmanager.rotation_rules import BadRules, check, next_window
from tests.services.events.test_heeding import events, listens
from tests.services.kms.helpers import allow, user
from tests.services.secretsmanager.test_secretsmanager import secret, value
from tests.services.world import ACCOUNT, REGION, World, refusal, run, told

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rotate"
DAILY = {"AutomaticallyAfterDays": 10}


class Functions:
    """Lambda with one function, which rotates as AWS's templates do."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.fails: set[str] = set()
        self.before: Callable[[Context, str], Awaitable[None]] | None = None

    async def invoke(self, ctx: Context, req: Any) -> Any:
        """Run the function, or say that it could be run."""
        assert (ctx.caller.kind, ctx.caller.arn) == ("service", "secretsmanager.amazonaws.com")
        assert req["FunctionName"] == FUNCTION
        if req["InvocationType"] == "DryRun":
            return {"StatusCode": 204}
        event = json.loads(req["Payload"])
        step, token, name = event["Step"], event["ClientRequestToken"], event["SecretId"]
        assert ctx.caller.source == name
        self.steps.append(step)
        if self.before is not None:
            await self.before(ctx, step)
        if step in self.fails:
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": b"{}"}
        role = ctx.derive(root_of(ACCOUNT))
        found = await role.call("secretsmanager", "describe_secret", {"SecretId": name})
        labels = found["VersionIdsToStages"]
        assert "AWSPENDING" in labels[token]
        if step == "createSecret":
            put = {
                "SecretId": name, "ClientRequestToken": token, "SecretString": f"new {token[:4]}",
                "VersionStages": ["AWSPENDING"],
            }  # fmt: skip
            await role.call("secretsmanager", "put_secret_value", put)
        if step == "finishSecret":
            [current] = [one for one in labels if "AWSCURRENT" in labels[one]]
            moved = {
                "SecretId": name, "VersionStage": "AWSCURRENT", "MoveToVersionId": token,
                "RemoveFromVersionId": current,
            }  # fmt: skip
            if current != token:
                await role.call("secretsmanager", "update_secret_version_stage", moved)
        return {"StatusCode": 200, "Payload": b"null"}


def with_functions(world: World) -> Functions:
    """Give a world functions."""
    functions = Functions()
    world.cloud.services.join(Service("lambda", groups=[functions], needs=_needs))
    return functions


def _needs(ctx: Context, operation: str, req: Any) -> list[Need]:
    return [Need("lambda:InvokeFunction", req["FunctionName"])]


async def opened(world: World) -> Functions:
    """The same, and the function lets Secrets Manager ask it."""
    functions = with_functions(world)
    let = allow(
        "lambda:InvokeFunction",
        FUNCTION,
        Principal={"Service": "secretsmanager.amazonaws.com"},
        Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}},
    )
    policy = json.dumps({"Version": "2012-10-17", "Statement": [let]})
    context = world.cloud.context(root_of(ACCOUNT), account=ACCOUNT, region=REGION, request_id="x")
    async with context.write() as tx:
        put_resource(tx, FUNCTION, ACCOUNT, policy)
    return functions


async def rotate(world: World, **req: Any) -> Any:
    """Rotate the till's secret."""
    asked = {"SecretId": "till", "RotationLambdaARN": FUNCTION, "RotationRules": DAILY, **req}
    told_of = await world.call("secretsmanager", "rotate_secret", **asked)
    await world.settle()
    return told_of


async def described(world: World) -> Any:
    """What the till's secret says of itself."""
    return await world.call("secretsmanager", "describe_secret", SecretId="till")


@told
async def test_a_function_makes_the_new_version_and_keeps_its_appointments(world: World) -> None:
    functions = await opened(world)
    await secret(world)
    made = await rotate(world)
    token = made["VersionId"]
    assert functions.steps == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert await value(world) == f"new {token[:4]}"
    assert await value(world, VersionStage="AWSPREVIOUS") == "1234"
    found = await described(world)
    assert (found["RotationEnabled"], found["RotationLambdaARN"]) == (True, FUNCTION)
    assert (found["RotationRules"], found["LastRotatedDate"]) == (DAILY, world.now)
    # The window is the tenth day: it opens at midnight.
    assert found["NextRotationDate"] == datetime(2030, 1, 11, 23, 59, 59, tzinfo=UTC)
    await world.advance(days=9)
    assert len(functions.steps) == 4
    await world.advance(days=1, hours=1)
    assert len(functions.steps) == 8
    assert await value(world) != f"new {token[:4]}"
    # A value that is put by hand counts as a rotation.
    await world.advance(days=5)
    await world.call("secretsmanager", "put_secret_value", SecretId="till", SecretString="mine")
    await world.advance(days=6)
    assert len(functions.steps) == 8
    await world.advance(days=5)
    assert len(functions.steps) == 12


@told
async def test_a_function_that_is_not_there_cannot_be_asked(world: World) -> None:
    await secret(world)
    text = (
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function "
        "policy grants access to the principal secretsmanager.amazonaws.com."
    )
    assert await refusal(rotate(world)) == ("AccessDeniedException", text)
    # Nor may one that does not let Secrets Manager ask it.
    with_functions(world)
    assert await refusal(rotate(world)) == ("AccessDeniedException", text)
    assert "RotationEnabled" not in await described(world)


@told
async def test_who_rotates_must_be_allowed_to_ask_the_function(world: World) -> None:
    await opened(world)
    await secret(world)
    ann = await user(world, "ann", allow("secretsmanager:*"))
    assert (await refusal(rotate(world, caller=ann)))[0] == "AccessDeniedException"
    bound = {"ArnEquals": {"secretsmanager:RotationLambdaARN": f"{FUNCTION}s"}}
    bob = await user(
        world, "bob", allow("secretsmanager:*", Condition=bound), allow("lambda:InvokeFunction")
    )
    assert (await refusal(rotate(world, caller=bob)))[0] == "AccessDeniedException"
    joe = await user(world, "joe", allow("secretsmanager:*"), allow("lambda:InvokeFunction"))
    await rotate(world, caller=joe)


@told
async def test_a_rotation_that_fails_is_tried_again_and_then_left(world: World) -> None:
    functions = await opened(world)
    functions.fails = {"setSecret"}
    await secret(world)
    made = await rotate(world)
    assert functions.steps == ["createSecret", "setSecret"]
    assert await refusal(rotate(world)) == (
        "InvalidRequestException",
        "A previous rotation isn't complete. That rotation will be reattempted.",
    )
    await world.advance(minutes=3)
    assert functions.steps == ["createSecret", "setSecret"] * 2
    for _ in range(8):
        await world.advance(minutes=20)
    assert functions.steps == ["createSecret", "setSecret"] * 5
    assert await value(world) == "1234"
    found = await described(world)
    assert found["VersionIdsToStages"][made["VersionId"]] == ["AWSPENDING"]
    assert "LastRotatedDate" not in found
    # The next appointment takes up the same version.
    functions.fails = set()
    await world.advance(days=11)
    assert await value(world) == f"new {made['VersionId'][:4]}"
    assert (await described(world))["LastRotatedDate"] is not None


@told
async def test_a_rotation_is_cancelled_in_its_midst(world: World) -> None:
    functions = await opened(world)
    await secret(world)

    async def cancel(ctx: Context, step: str) -> None:
        if step == "setSecret":
            await ctx.derive(root_of(ACCOUNT)).call(
                "secretsmanager", "cancel_rotate_secret", {"SecretId": "till"}
            )

    functions.before = cancel
    made = await rotate(world)
    assert functions.steps == ["createSecret", "setSecret"]
    found = await described(world)
    assert found["RotationEnabled"] is False
    assert found["RotationRules"] == DAILY
    assert "NextRotationDate" not in found
    assert found["VersionIdsToStages"][made["VersionId"]] == ["AWSPENDING"]
    await world.advance(days=30)
    assert len(functions.steps) == 2
    # The label that was left behind is somebody's to remove.
    assert (await refusal(rotate(world)))[0] == "InvalidRequestException"
    await world.call(
        "secretsmanager", "update_secret_version_stage", SecretId="till",
        VersionStage="AWSPENDING", RemoveFromVersionId=made["VersionId"],
    )  # fmt: skip
    functions.before = None
    await world.call("secretsmanager", "rotate_secret", SecretId="till")
    await world.settle()
    assert (await described(world))["RotationEnabled"] is True
    assert len(functions.steps) == 6


@told
async def test_a_rotation_that_is_not_at_once_is_only_tried(world: World) -> None:
    functions = await opened(world)
    await secret(world)
    rules = {"ScheduleExpression": "cron(0 16 1,15 * ? *)", "Duration": "2h"}
    await rotate(world, RotateImmediately=False, RotationRules=rules)
    assert functions.steps == ["testSecret"]
    found = await described(world)
    assert list(found["VersionIdsToStages"].values()) == [["AWSCURRENT"]]
    assert found["NextRotationDate"] == datetime(2030, 1, 1, 17, 59, 59, tzinfo=UTC)
    assert await value(world) == "1234"
    await world.advance(hours=17)
    assert await value(world) != "1234"
    assert (await described(world))["NextRotationDate"] == datetime(
        2030, 1, 15, 17, 59, 59, tzinfo=UTC
    )


@told
async def test_rotations_are_told_of(world: World) -> None:
    functions = await opened(world)
    names = {"eventName": [{"prefix": "Rotation"}]}
    to = await listens(world, source=["aws.secretsmanager"], detail=names)
    made = await secret(world)
    await rotate(world)
    functions.fails = {"testSecret"}
    await rotate(world)
    for _ in range(8):
        await world.advance(minutes=20)
    found = await events(world, to)
    assert {event["detail-type"] for event in found} == {"AWS Service Event via CloudTrail"}
    assert sorted(event["detail"]["eventName"] for event in found) == [
        "RotationFailed",
        "RotationStarted",
        "RotationStarted",
        "RotationSucceeded",
    ]
    assert {event["detail"]["additionalEventData"]["SecretId"] for event in found} == {made["ARN"]}


@told
async def test_the_same_request_rotates_once(world: World) -> None:
    functions = await opened(world)
    await secret(world)
    token = "t" * 32
    first = await rotate(world, ClientRequestToken=token)
    assert await rotate(world, ClientRequestToken=token) == first
    assert len(functions.steps) == 4


@told
async def test_a_rotation_goes_on_after_a_crash(world: World) -> None:
    functions = await opened(world)
    functions.fails = {"testSecret"}
    await secret(world)
    made = await rotate(world)
    after = world.again()
    with_functions(after)
    await after.start()
    await after.advance(minutes=5)
    assert await value(after) == f"new {made['VersionId'][:4]}"
    await after.close()


@told
async def test_a_secret_that_comes_back_goes_on_rotating(world: World) -> None:
    functions = await opened(world)
    functions.fails = {"setSecret"}
    await secret(world)
    made = await rotate(world)
    await world.call("secretsmanager", "delete_secret", SecretId="till")
    functions.fails = set()
    await world.advance(days=1)
    assert functions.steps == ["createSecret", "setSecret"]
    await world.call("secretsmanager", "restore_secret", SecretId="till")
    await world.settle()
    assert await value(world) == f"new {made['VersionId'][:4]}"


@told
async def test_replicas_follow_a_rotation(world: World) -> None:
    await opened(world)
    await secret(world, AddReplicaRegions=[{"Region": "eu-west-1"}])
    made = await rotate(world)
    assert await value(world, region="eu-west-1") == f"new {made['VersionId'][:4]}"


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"Duration": "3h"},
        {"AutomaticallyAfterDays": 1, "ScheduleExpression": "rate(1 day)"},
        {"ScheduleExpression": "rate(3 hours)"},
        {"ScheduleExpression": "rate(30 minutes)"},
        {"ScheduleExpression": "rate(1001 days)"},
        {"ScheduleExpression": "every day"},
        {"ScheduleExpression": "cron(5 8 * * ? *)"},
        {"ScheduleExpression": "rate(4 hours)", "Duration": "5h"},
        {"AutomaticallyAfterDays": 1, "Duration": "25h"},
        {"AutomaticallyAfterDays": 1, "Duration": "0h"},
    ],
)
def test_rules_that_cannot_be_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(BadRules):
        check(rules)

    async def story(world: World) -> None:
        await opened(world)
        await secret(world)
        if rules:
            call = rotate(world, RotationRules=rules)
            assert (await refusal(call))[0] == "InvalidParameterException"

    run(story)


@pytest.mark.parametrize(
    ("rules", "opens", "closes"),
    [
        ({"AutomaticallyAfterDays": 30}, "2030-01-31T00:00:00", "2030-01-31T23:59:59"),
        (
            {"AutomaticallyAfterDays": 30, "Duration": "3h"},
            "2030-01-31T00:00:00",
            "2030-01-31T02:59:59",
        ),
        ({"ScheduleExpression": "rate(10 days)"}, "2030-01-11T00:00:00", "2030-01-11T23:59:59"),
        ({"ScheduleExpression": "rate(4 hours)"}, "2030-01-01T16:00:00", "2030-01-01T16:59:59"),
        (
            {"ScheduleExpression": "rate(12 hours)", "Duration": "2h"},
            "2030-01-02T00:00:00",
            "2030-01-02T01:59:59",
        ),
        (
            {"ScheduleExpression": "cron(0 8 L * ? *)"},
            "2030-01-31T08:00:00",
            "2030-01-31T23:59:59",
        ),
        (
            {"ScheduleExpression": "cron(0 /8 * * ? *)"},
            "2030-01-01T16:00:00",
            "2030-01-01T16:59:59",
        ),
    ],
)
def test_windows_open_and_close_as_the_guide_says(
    rules: dict[str, Any], opens: str, closes: str
) -> None:
    check(rules)
    now = datetime(2030, 1, 1, 12, 30, tzinfo=UTC)
    window = next_window(rules, now, now)
    assert window is not None
    assert window.opens == datetime.fromisoformat(opens).replace(tzinfo=UTC)
    assert window.closes == datetime.fromisoformat(closes).replace(tzinfo=UTC)
    # An appointment that was missed is kept on the next day.
    late = next_window({"AutomaticallyAfterDays": 1}, now + timedelta(days=5), now)
    assert late is not None
    assert late.opens == datetime(2030, 1, 7, tzinfo=UTC)
