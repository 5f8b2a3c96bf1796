"""A pipe's log tells what became of each batch, as fully as its level says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.services.events.test_destinations import KEY, destination, outside, until
from tests.services.kms.helpers import allow, user
from tests.services.pipes.test_pipes import ACTIONS, ROLE, pipe, role
from tests.services.sqs.helpers import arn, make, receive, send
from tests.services.world import ACCOUNT, REGION, World, refusal, run, told

GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/vendedlogs/pipes/p"


def log(level: str = "INFO", **more: Any) -> dict[str, Any]:
    """A configuration that writes to the group."""
    return {"Level": level, "CloudwatchLogsLogDestination": {"LogGroupArn": GROUP}, **more}


async def lines(world: World) -> list[dict[str, Any]]:
    """What stands in the log."""
    await world.settle()
    name = GROUP.rpartition(":")[2]
    found = await world.call("logs", "filter_log_events", logGroupName=name)
    return [json.loads(one["message"]) for one in found["events"]]


async def flowing(world: World, **req: Any) -> str:
    """A pipe between queues that is logged; the URL of its source."""
    await role(world, *ACTIONS)
    source = await make(world, "from", VisibilityTimeout="10")
    await make(world, "to", MaximumMessageSize="1024")
    await world.call("logs", "create_log_group", logGroupName=GROUP.rpartition(":")[2])
    await pipe(world, **req)
    return source


TRANSFORMED = ["TARGET_TRANSFORMATION_STARTED", "TARGET_TRANSFORMATION_SUCCEEDED"]
GOOD = {
    "ERROR": [],
    "INFO": [
        "EXECUTION_STARTED", "TARGET_STAGE_ENTERED", "TARGET_STAGE_SUCCEEDED",
        "EXECUTION_SUCCEEDED",
    ],
    "TRACE": [
        "EXECUTION_STARTED", "TARGET_STAGE_ENTERED", *TRANSFORMED, "TARGET_INVOCATION_STARTED",
        "TARGET_INVOCATION_SUCCEEDED", "TARGET_STAGE_SUCCEEDED", "EXECUTION_SUCCEEDED",
    ],
}  # fmt: skip


@pytest.mark.parametrize("level", list(GOOD))
def test_a_batch_that_arrives_is_told_of_as_the_level_says(level: str) -> None:
    async def story(world: World) -> None:
        source = await flowing(world, LogConfiguration=log(level))
        await send(world, source, "x")
        found = await lines(world)
        assert [one["messageType"] for one in found] == GOOD[level]
        for one in found:
            assert one["resourceArn"].endswith(":pipe/p")
            assert one["logLevel"] == level
            assert one["timestamp"] == int(world.now.timestamp() * 1000)
            assert not {"payload", "awsRequest"} & set(one)
        assert len({one["executionId"] for one in found}) == (1 if found else 0)

    run(story)


@told
async def test_what_fails_is_told_of_with_its_reason(world: World) -> None:
    source = await flowing(world, LogConfiguration=log("ERROR"), Target=arn("none"))
    await send(world, source, "x")
    found = await lines(world)
    assert [one["messageType"] for one in found] == [
        "TARGET_INVOCATION_FAILED",
        "TARGET_STAGE_FAILED",
        "EXECUTION_FAILED",
    ]
    assert found[0]["error"]["httpStatusCode"] == 400
    assert "does not exist" in found[0]["error"]["message"]


@told
async def test_a_batch_of_which_some_fails_is_told_of_as_such(world: World) -> None:
    source = await flowing(world, LogConfiguration=log("ERROR"), DesiredState="STOPPED")
    await send(world, source, "x")
    await send(world, source, "y" * 2_000)
    await world.call("pipes", "start_pipe", Name="p")
    assert [one["messageType"] for one in await lines(world)] == [
        "TARGET_INVOCATION_PARTIALLY_FAILED",
        "TARGET_STAGE_PARTIALLY_FAILED",
        "EXECUTION_PARTIALLY_FAILED",
    ]


@told
async def test_data_is_told_of_where_the_pipe_includes_it(world: World) -> None:
    source = await flowing(
        world,
        LogConfiguration=log("TRACE", IncludeExecutionData=["ALL"]),
        TargetParameters={"InputTemplate": '"<$.body>!"'},
    )
    await send(world, source, "tea")
    found = {one["messageType"]: one for one in await lines(world)}
    assert json.loads(found["EXECUTION_STARTED"]["payload"])[0]["body"] == "tea"
    assert json.loads(found["TARGET_TRANSFORMATION_SUCCEEDED"]["payload"]) == ['"tea!"']
    assert json.loads(found["TARGET_INVOCATION_STARTED"]["awsRequest"]) == ['"tea!"']
    for _ in range(3):
        await send(world, source, "z" * 200_000)
    await world.advance(1)
    cut = [one for one in await lines(world) if "truncatedFields" in one]
    assert cut
    assert all("payload" not in one for one in cut if "payload" in one["truncatedFields"])


@told
async def test_an_enrichments_answers_are_told_of(world: World) -> None:
    await role(world, *ACTIONS, "events:InvokeApiDestination")
    source, target = await make(world, "from"), await make(world, "to")
    await world.call("logs", "create_log_group", logGroupName=GROUP.rpartition(":")[2])
    with outside() as server:
        server.says = lambda body: b'{"a": 1}'
        enrichment = await destination(world, server.url, "API_KEY", KEY)
        config = log("TRACE", IncludeExecutionData=["ALL"])
        await pipe(world, Enrichment=enrichment, LogConfiguration=config)
        await send(world, source, "x")
        await until(world, lambda: len(server.asked) == 1)
        for _ in range(400):
            await until(world, lambda: True)
            if await receive(world, target):
                break
    steps = {one["messageType"]: one for one in await lines(world)}
    assert steps["ENRICHMENT_INVOCATION_SUCCEEDED"]["awsResponse"] == '{"a": 1}'
    assert {"ENRICHMENT_STAGE_ENTERED", "ENRICHMENT_STAGE_SUCCEEDED"} <= set(steps)


@told
async def test_a_log_that_is_gone_holds_up_nothing(world: World) -> None:
    source = await flowing(world, LogConfiguration=log())
    await world.call("logs", "delete_log_group", logGroupName=GROUP.rpartition(":")[2])
    await send(world, source, "x")
    await world.settle()
    assert len(await receive(world, f"http://localhost:4566/{ACCOUNT}/to")) == 1


@told
async def test_a_log_is_switched_on_and_off_by_an_update(world: World) -> None:
    source = await flowing(world)
    await send(world, source, "x")
    assert await lines(world) == []
    for level, count in (("INFO", 4), ("OFF", 4)):
        await world.call(
            "pipes", "update_pipe", Name="p", RoleArn=ROLE, LogConfiguration=log(level)
        )
        await world.settle()
        await send(world, source, "x")
        assert len(await lines(world)) == count
    shown = await world.call("pipes", "describe_pipe", Name="p")
    assert shown["LogConfiguration"]["Level"] == "OFF"


@told
async def test_whoever_sets_up_a_log_must_be_allowed_to_and_its_policy_grows(
    world: World,
) -> None:
    await role(world, *ACTIONS)
    req = {"Source": arn("from"), "Target": arn("to"), "RoleArn": ROLE, "LogConfiguration": log()}
    ada = await user(world, "ada", allow("pipes:*"), allow("iam:PassRole", ROLE))
    code, text = await refusal(world.call("pipes", "create_pipe", caller=ada, Name="p", **req))
    assert code.startswith("AccessDenied")
    assert "logs:CreateLogDelivery" in text
    logs = allow("logs:*")
    eve = await user(world, "eve", allow("pipes:*"), allow("iam:PassRole", ROLE), logs)
    for name in ("p", "q"):
        await world.call("pipes", "create_pipe", caller=eve, Name=name, **req)
    policies = (await world.call("logs", "describe_resource_policies"))["resourcePolicies"]
    (policy,) = policies
    assert policy["policyName"] == "AWSLogDeliveryWrite20150319"
    assert len(json.loads(policy["policyDocument"])["Statement"]) == 1


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"Level": "INFO"}, "ValidationException"),
        (
            {"Level": "INFO", "CloudwatchLogsLogDestination": {"LogGroupArn": arn("q")}},
            "ValidationException",
        ),
        (
            {"Level": "INFO", "S3LogDestination": {"BucketName": "bbb", "BucketOwner": ACCOUNT}},
            "NotImplemented",
        ),
        (
            {
                "Level": "INFO",
                "FirehoseLogDestination": {
                    "DeliveryStreamArn": f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/s"
                },
            },
            "NotImplemented",
        ),
    ],
)
def test_a_log_that_cannot_be_is_refused(config: dict[str, Any], code: str) -> None:
    async def story(world: World) -> None:
        await role(world, *ACTIONS)
        found, _ = await refusal(pipe(world, LogConfiguration=config))
        assert found == code

    run(story)
