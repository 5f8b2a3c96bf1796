"""Tags, reserved concurrency, and what becomes of asynchronous calls; through the door."""

from __future__ import annotations

import json
from typing import Any

from tests.services.lambda_.base import make_function
from tests.services.world import World, refusal, refused, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:done"


@told
async def test_tags_are_put_listed_and_taken_off(world: World) -> None:
    await make_function(world, Tags={"a": "1"})
    await world.call("lambda", "tag_resource", Resource=ARN, Tags={"b": "2"})
    await world.call("lambda", "untag_resource", Resource=ARN, TagKeys=["a", "none"])
    assert await world.call("lambda", "list_tags", Resource=ARN) == {"Tags": {"b": "2"}}
    error = await refused(world.call("lambda", "list_tags", Resource=f"{ARN}:1"))
    assert error.message.startswith("Tags on function aliases and versions are not supported.")
    error = await refused(world.call("lambda", "tag_resource", Resource=ARN, Tags={"aws:x": "2"}))
    assert error.code == "InvalidParameterValueException"


@told
async def test_nine_hundred_executions_can_be_reserved_and_no_more(world: World) -> None:
    await make_function(world)
    await make_function(world, "g")
    await _reserve(world, "f", 300)
    await _reserve(world, "g", 600)
    assert await refusal(_reserve(world, "g", 601)) == (
        "InvalidParameterValueException",
        (
            "Specified ReservedConcurrentExecutions for function decreases account's "
            "UnreservedConcurrentExecution below its minimum value of [100]."
        ),
    )
    settings = await world.call("lambda", "get_account_settings")
    assert settings["AccountLimit"]["UnreservedConcurrentExecutions"] == 100
    got = await world.call("lambda", "get_function", FunctionName="f")
    assert got["Concurrency"] == {"ReservedConcurrentExecutions": 300}
    await world.call("lambda", "delete_function_concurrency", FunctionName="f")
    await world.call("lambda", "delete_function", FunctionName="g")
    assert await world.call("lambda", "get_function_concurrency", FunctionName="f") == {}
    settings = await world.call("lambda", "get_account_settings")
    assert settings["AccountLimit"]["UnreservedConcurrentExecutions"] == 1000


async def _reserve(world: World, name: str, executions: int) -> Any:
    return await world.call(
        "lambda", "put_function_concurrency", FunctionName=name,
        ReservedConcurrentExecutions=executions,
    )  # fmt: skip


async def _put(world: World, method: str = "put", **more: Any) -> Any:
    return await world.call(
        "lambda", f"{method}_function_event_invoke_config", FunctionName="f", **more
    )


@told
async def test_the_configuration_of_asynchronous_calls_is_put_changed_and_forgotten(
    world: World,
) -> None:
    await make_function(world)
    destinations = {"OnFailure": {"Destination": QUEUE}}
    assert await refusal(_put(world, DestinationConfig=destinations)) == (
        "InvalidParameterValueException",
        f"The function's execution role does not have permissions to call SendMessage on {QUEUE}",
    )
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE}
    await world.call(
        "iam", "put_role_policy", RoleName="runner", PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )  # fmt: skip
    made = await _put(world, DestinationConfig=destinations, MaximumRetryAttempts=0)
    assert made["FunctionArn"] == f"{ARN}:$LATEST"
    assert made["MaximumRetryAttempts"] == 0
    changed = await _put(world, "update", MaximumEventAgeInSeconds=60)
    assert changed["MaximumRetryAttempts"] == 0
    assert changed["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {"Destination": QUEUE}}
    put = await _put(world, MaximumEventAgeInSeconds=60)
    assert "MaximumRetryAttempts" not in put
    listed = await world.call("lambda", "list_function_event_invoke_configs", FunctionName="f")
    assert [one["FunctionArn"] for one in listed["FunctionEventInvokeConfigs"]] == [
        f"{ARN}:$LATEST"
    ]
    await world.call("lambda", "delete_function_event_invoke_config", FunctionName="f")
    get = world.call("lambda", "get_function_event_invoke_config", FunctionName="f")
    assert await refusal(get) == (
        "ResourceNotFoundException",
        f"The function {ARN}:$LATEST doesn't have an EventInvokeConfig",
    )


@told
async def test_a_dead_letter_queue_is_taken_once_the_role_may_send_to_it(world: World) -> None:
    await make_function(world)
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": QUEUE}
    await world.call(
        "iam", "put_role_policy", RoleName="runner", PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )  # fmt: skip
    changed = await world.call(
        "lambda", "update_function_configuration", FunctionName="f",
        DeadLetterConfig={"TargetArn": QUEUE},
    )  # fmt: skip
    assert changed["DeadLetterConfig"] == {"TargetArn": QUEUE}
    await world.settle()
    changed = await world.call(
        "lambda", "update_function_configuration", FunctionName="f", DeadLetterConfig={}
    )
    assert "DeadLetterConfig" not in changed


@told
async def test_a_runtime_is_updated_whenever_this_machine_s_is(world: World) -> None:
    await make_function(world)
    put = {"FunctionName": "f", "Qualifier": "$LATEST"}
    told = await world.call(
        "lambda", "put_runtime_management_config", UpdateRuntimeOn="Auto", **put
    )
    assert told == {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{ARN}:$LATEST"}
    assert await world.call("lambda", "get_runtime_management_config", **put) == told
    other = world.call(
        "lambda", "put_runtime_management_config", UpdateRuntimeOn="FunctionUpdate", **put
    )
    assert (await refused(other)).code == "NotImplemented"
