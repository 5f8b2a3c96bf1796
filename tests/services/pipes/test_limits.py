"""Both sides of every number that AWS documents for EventBridge Pipes, and every refusal's text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.pipes import limits
from doppio.services.pipes.records import Pipe
from tests.services.pipes.test_pipes import ACTIONS, ROLE, pipe, role
from tests.services.sqs.helpers import arn, make
from tests.services.world import ACCOUNT, REGION, START, World, refusal, refused, run, told

VALIDATION, GONE = "ValidationException", "NotFoundException"
STREAM = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t/stream/x"


def row(name: str, **own: Any) -> Pipe:
    given = {
        "Source": STREAM, "Target": arn("to"), "RoleArn": ROLE,
        "SourceParameters": {"DynamoDBStreamParameters": {"StartingPosition": "LATEST", **own}},
    }  # fmt: skip
    return Pipe(
        account=ACCOUNT, region=REGION, name=name, partition="aws", created_at=START,
        modified_at=START, given=given, desired="STOPPED", current="STOPPED",
    )  # fmt: skip


@told
async def test_an_account_has_a_thousand_pipes_at_most(world: World) -> None:
    await role(world, *ACTIONS)
    async with world.cloud.root_context().write() as tx:
        for number in range(limits.PIPES_MAX - 1):
            tx.add(row(f"p{number:04}"))
    await pipe(world, Name="last", DesiredState="STOPPED")
    error = await refused(pipe(world, Name="more"))
    assert (error.code, error.message, error.status) == (
        "ServiceQuotaExceededException",
        "You have exceeded the quota of 1000 pipes.",
        402,
    )
    page = await world.call("pipes", "list_pipes")
    assert len(page["Pipes"]) == limits.LISTED_MAX
    assert page["NextToken"]


def filters(count: int) -> dict[str, Any]:
    one = {"Pattern": json.dumps({"body": ["x"]})}
    return {"FilterCriteria": {"Filters": [one] * count}}


def queue(**more: Any) -> dict[str, Any]:
    return {"SourceParameters": {"SqsQueueParameters": more}}


LONG = (
    "A BatchSize of more than 10 takes a MaximumBatchingWindowInSeconds of at least 1, and a "
    "standard queue."
)
FIFO = {"Source": arn("from.fifo")}
TAKEN: list[dict[str, Any]] = [
    {"SourceParameters": filters(limits.FILTERS_MAX)},
    queue(BatchSize=limits.BATCH_WITHOUT_WINDOW_MAX),
    queue(BatchSize=10_000, MaximumBatchingWindowInSeconds=300),
    {**FIFO, **queue(BatchSize=limits.BATCH_WITHOUT_WINDOW_MAX)},
    {"TargetParameters": {"InputTemplate": "x" * 8_192}},
]
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (queue(BatchSize=limits.BATCH_WITHOUT_WINDOW_MAX + 1), VALIDATION, LONG),
    ({**FIFO, **queue(BatchSize=limits.BATCH_WITHOUT_WINDOW_MAX + 1)}, VALIDATION, LONG),
    ({**FIFO, **queue(MaximumBatchingWindowInSeconds=1)}, VALIDATION,
     "A FIFO queue takes no MaximumBatchingWindowInSeconds."),
    ({"Source": STREAM, **queue()}, VALIDATION, "SourceParameters do not go with the source."),
    ({"Source": "nonsense"}, VALIDATION, "Invalid Source: nonsense"),
    ({"Source": arn("x").replace("sqs", "kafka")}, "NotImplemented",
     "pipes: sources of kafka exist in AWS and not yet in this cloud"),
    ({"Target": arn("to.fifo")}, VALIDATION, "SqsQueueParameters must be given for a FIFO queue."),
    ({"Target": arn("log-group:x").replace("sqs", "logs")}, VALIDATION,
     "CloudWatchLogsParameters must be given for a log group."),
    ({"TargetParameters": {"CloudWatchLogsParameters": {"LogStreamName": "s"}}}, VALIDATION,
     "TargetParameters do not go with the target."),
    ({"EnrichmentParameters": {"InputTemplate": "x"}}, VALIDATION,
     "EnrichmentParameters must go with an Enrichment."),
    ({"KmsKeyIdentifier": "k"}, "NotImplemented",
     "pipes: a pipe's KmsKeyIdentifier exist in AWS and not yet in this cloud"),
    ({"Name": "there"}, "ConflictException", "Pipe there already exists."),
    ({"Tags": {"aws:x": "y"}}, VALIDATION,
     "Tag keys that start with aws: are reserved for system use"),
]  # fmt: skip


@told
async def test_what_is_just_within_a_limit_is_taken(world: World) -> None:
    await role(world, *ACTIONS)
    for number, req in enumerate(TAKEN):
        await pipe(world, Name=f"p{number}", DesiredState="STOPPED", **req)
    for req, most in (
        ({"SourceParameters": filters(limits.FILTERS_MAX + 1)}, limits.FILTERS_MAX),
        ({"TargetParameters": {"InputTemplate": "x" * 8_193}}, 8_192),
    ):
        code, text = await refusal(pipe(world, **req))
        assert code == VALIDATION
        assert text.endswith(f"Member must have length less than or equal to {most}")


@pytest.mark.parametrize("part", range(2))
def test_what_cannot_be_is_refused_in_aws_words(part: int) -> None:
    async def story(world: World) -> None:
        await role(world, *ACTIONS)
        await pipe(world, Name="there", DesiredState="STOPPED")
        for req, code, text in REFUSED[part::2]:
            assert await refusal(pipe(world, **req)) == (code, text), req

    run(story)


@told
async def test_pipes_that_are_not_there_or_busy_are_refused(world: World) -> None:
    await role(world, *ACTIONS)
    await make(world, "from")
    there = f"arn:aws:pipes:{REGION}:{ACCOUNT}:pipe/no"
    for method, req, code, text in (
        ("describe_pipe", {"Name": "no"}, GONE, "Pipe no does not exist."),
        ("update_pipe", {"Name": "no", "RoleArn": ROLE}, GONE, "Pipe no does not exist."),
        ("start_pipe", {"Name": "no"}, GONE, "Pipe no does not exist."),
        ("stop_pipe", {"Name": "no"}, GONE, "Pipe no does not exist."),
        ("delete_pipe", {"Name": "no"}, GONE, "Pipe no does not exist."),
        ("list_tags_for_resource", {"resourceArn": there}, GONE, "Pipe no does not exist."),
        ("list_pipes", {"NextToken": "x"}, VALIDATION, "Invalid NextToken."),
    ):
        assert await refusal(world.call("pipes", method, **req)) == (code, text)
    given = {"Name": "p", "Source": arn("from"), "Target": arn("to"), "RoleArn": ROLE}
    await world.call("pipes", "create_pipe", **given)
    assert await refusal(world.call("pipes", "stop_pipe", Name="p")) == (
        "ConflictException",
        "Pipe p is CREATING and cannot be changed now.",
    )
