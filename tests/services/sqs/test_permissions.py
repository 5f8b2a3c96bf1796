"""Which permission each operation takes, on which queue, under which conditions."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from doppio.services.sqs.errors import InvalidParameterValue, ReceiptHandleIsInvalid
from doppio.services.sqs.service import SERVICE
from doppio.wire import model
from doppio.wire.errors import AccessDenied
from tests.services.iam.helpers import document, user
from tests.services.world import OTHER, World, refusal, refused, run, told

from .helpers import arn, attributes, make, receive, send

HANDLE = {"ReceiptHandle": "x"}
CALLS: dict[str, dict[str, Any]] = {
    "AddPermission": {"Label": "l", "AWSAccountIds": [OTHER], "Actions": ["SendMessage"]},
    "ChangeMessageVisibility": {**HANDLE, "VisibilityTimeout": 1},
    "ChangeMessageVisibilityBatch": {"Entries": [{"Id": "a", **HANDLE}]},
    "DeleteMessage": HANDLE,
    "DeleteMessageBatch": {"Entries": [{"Id": "a", **HANDLE}]},
    "DeleteQueue": {},
    "GetQueueAttributes": {"AttributeNames": ["All"]},
    "ListDeadLetterSourceQueues": {},
    "ListQueueTags": {},
    "PurgeQueue": {},
    "ReceiveMessage": {},
    "RemovePermission": {"Label": "l"},
    "SendMessage": {"MessageBody": "x"},
    "SendMessageBatch": {"Entries": [{"Id": "a", "MessageBody": "x"}]},
    "SetQueueAttributes": {"Attributes": {"DelaySeconds": "1"}},
    "TagQueue": {"Tags": {"a": "b"}},
    "UntagQueue": {"TagKeys": ["a"]},
}
OTHERS = {
    "CreateQueue", "GetQueueUrl", "ListQueues", "StartMessageMoveTask", "CancelMessageMoveTask",
    "ListMessageMoveTasks",
}  # fmt: skip
METHODS = {operation.name: method for method, operation in model.load("sqs").by_method.items()}


def test_every_operation_is_among_those_that_are_tried_here() -> None:
    assert {*CALLS, *OTHERS} == {METHODS_BACK[method] for method in SERVICE.operations}


METHODS_BACK = {method: name for name, method in METHODS.items()}


@pytest.mark.parametrize("operation", CALLS)
def test_an_operation_asks_for_its_action_on_its_queue(operation: str) -> None:
    async def story(world: World) -> None:
        url = await make(world)
        await make(world, "other")
        action = f"sqs:{operation.removesuffix('Batch')}"
        allowed = await user(world, "barista", document(action, resource=arn("q")))
        denied = await user(world, "guest", document("sqs:*", resource=arn("other")))
        req = {"QueueUrl": url, **CALLS[operation]}
        assert await refusal(world.call("sqs", METHODS[operation], caller=denied, **req)) == (
            "AccessDeniedException",
            (
                f"User: {denied.arn} is not authorized to perform: {action.lower()} on resource: "
                f"{arn('q')} because no identity-based policy allows the {action.lower()} action"
            ),
        )
        with contextlib.suppress(ReceiptHandleIsInvalid, InvalidParameterValue):
            await world.call("sqs", METHODS[operation], caller=allowed, **req)

    run(story)


@told
async def test_what_was_denied_has_changed_nothing(world: World) -> None:
    url = await make(world)
    before = await attributes(world, url)
    denied = await user(world, "guest", document("sqs:List*"))
    for operation, more in CALLS.items():
        if not operation.startswith("List"):
            call = world.call("sqs", METHODS[operation], caller=denied, QueueUrl=url, **more)
            assert isinstance(await refused(call), AccessDenied), operation
    assert await attributes(world, url) == before
    assert await receive(world, url) == []


@told
async def test_queues_are_found_by_name_with_the_permission_for_that_name(world: World) -> None:
    await make(world)
    barista = await user(
        world, "barista", document("sqs:GetQueueUrl", "sqs:CreateQueue", resource=arn("q*"))
    )
    await world.call("sqs", "get_queue_url", caller=barista, QueueName="q")
    await world.call("sqs", "create_queue", caller=barista, QueueName="q2")
    for method, name in (("get_queue_url", "other"), ("create_queue", "other")):
        call = world.call("sqs", method, caller=barista, QueueName=name)
        assert isinstance(await refused(call), AccessDenied)
    assert isinstance(await refused(world.call("sqs", "list_queues", caller=barista)), AccessDenied)


@told
async def test_a_queue_that_is_born_with_tags_takes_the_permission_to_tag(world: World) -> None:
    maker = await user(world, "maker", document("sqs:CreateQueue"))
    error = await refused(
        world.call("sqs", "create_queue", caller=maker, QueueName="q", tags={"a": "b"})
    )
    assert "sqs:tagqueue" in error.message.lower()
    both = await user(world, "both", document("sqs:CreateQueue", "sqs:TagQueue"))
    await world.call("sqs", "create_queue", caller=both, QueueName="q", tags={"a": "b"})


@told
async def test_a_policy_can_ask_for_the_tags_of_a_request(world: World) -> None:
    url = await make(world)
    only_team = {"StringEquals": {"aws:RequestTag/team": "bar"}}
    barista = await user(world, "barista", document("sqs:TagQueue", Condition=only_team))
    await world.call("sqs", "tag_queue", caller=barista, QueueUrl=url, Tags={"team": "bar"})
    for tags in ({"team": "till"}, {"colour": "red"}):
        call = world.call("sqs", "tag_queue", caller=barista, QueueUrl=url, Tags=tags)
        assert isinstance(await refused(call), AccessDenied)
    keys = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    cleaner = await user(world, "cleaner", document("sqs:UntagQueue", Condition=keys))
    call = world.call("sqs", "untag_queue", caller=cleaner, QueueUrl=url, TagKeys=["team", "x"])
    assert isinstance(await refused(call), AccessDenied)
    await world.call("sqs", "untag_queue", caller=cleaner, QueueUrl=url, TagKeys=["team"])


@told
async def test_a_policy_may_ask_for_a_queues_own_tags(world: World) -> None:
    url = await make(world)
    await world.call("sqs", "tag_queue", QueueUrl=url, Tags={"Team": "bar"})
    tagged = {"StringEquals": {"aws:ResourceTag/Team": "bar"}}
    barista = await user(world, "barista", document("sqs:*", Condition=tagged))
    await world.call("sqs", "send_message", caller=barista, QueueUrl=url, MessageBody="x")
    other = await make(world, "other")
    call = world.call("sqs", "send_message", caller=barista, QueueUrl=other, MessageBody="x")
    assert isinstance(await refused(call), AccessDenied)
    # What is denied by a tag counts as soon as the tag is there.
    await world.call("sqs", "tag_queue", QueueUrl=url, Tags={"Team": "till"})
    call = world.call("sqs", "send_message", caller=barista, QueueUrl=url, MessageBody="x")
    assert isinstance(await refused(call), AccessDenied)
    assert len(await receive(world, url)) == 1


@told
async def test_another_account_may_be_allowed_to_send_and_never_to_own(world: World) -> None:
    url = await make(world)
    await send(world, url)
    everything = {
        "Statement": {
            "Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "sqs:*",
            "Resource": arn("q"),
        }
    }  # fmt: skip
    await world.call(
        "sqs", "set_queue_attributes", QueueUrl=url, Attributes={"Policy": json.dumps(everything)}
    )
    await world.call("sqs", "send_message", account=OTHER, QueueUrl=url, MessageBody="x")
    assert len(await world.call("sqs", "receive_message", account=OTHER, QueueUrl=url)) == 1
    for operation in (
        "AddPermission", "DeleteQueue", "ListQueueTags", "RemovePermission", "SetQueueAttributes",
        "TagQueue", "UntagQueue",
    ):  # fmt: skip
        call = world.call(
            "sqs", METHODS[operation], account=OTHER, QueueUrl=url, **CALLS[operation]
        )
        assert isinstance(await refused(call), AccessDenied), operation
    for method in ("start_message_move_task", "list_message_move_tasks"):
        call = world.call("sqs", method, account=OTHER, SourceArn=arn("q"))
        assert isinstance(await refused(call), AccessDenied), method
    await world.call("sqs", "tag_queue", QueueUrl=url, Tags={"a": "b"})


@told
async def test_moving_dead_letters_takes_what_moving_by_hand_would(world: World) -> None:
    await make(world, "dead")
    url = await make(world)
    policy = json.dumps({"deadLetterTargetArn": arn("dead"), "maxReceiveCount": 1})
    await world.call(
        "sqs", "set_queue_attributes", QueueUrl=url, Attributes={"RedrivePolicy": policy}
    )
    moving = [
        "sqs:StartMessageMoveTask", "sqs:ReceiveMessage", "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ]  # fmt: skip
    task = {"SourceArn": arn("dead"), "DestinationArn": arn("q")}
    for number, missing in enumerate([*moving, "sqs:SendMessage"]):
        granted = [one for one in [*moving, "sqs:SendMessage"] if one != missing]
        mover = await user(world, f"m{number}", document(*granted))
        error = await refused(world.call("sqs", "start_message_move_task", caller=mover, **task))
        assert isinstance(error, AccessDenied)
        assert missing.lower() in error.message.lower()
    mover = await user(world, "mover", document(*moving, "sqs:SendMessage"))
    got = await world.call("sqs", "start_message_move_task", caller=mover, **task)
    call = world.call("sqs", "cancel_message_move_task", caller=mover, TaskHandle=got["TaskHandle"])
    assert isinstance(await refused(call), AccessDenied)
