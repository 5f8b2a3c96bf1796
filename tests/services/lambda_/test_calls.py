"""Invoke, through the door: real processes run real code."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from doppio.services.lambda_ import limits
from doppio.services.lambda_.invocations import Asked, invoked
from doppio.services.lambda_.journal import Journal
from doppio.services.lambda_.running import Spec
from doppio.services.lambda_.specs import target_of
from doppio.services.lambda_.workers import Workers
from doppio.wire.errors import AwsError
from tests.machine.guests import needs_groups
from tests.services.lambda_.base import ROLE, make_function, zipped
from tests.services.world import ACCOUNT, REGION, World, refused, run, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
CODE = """
import os, sys, time
def handler(event, context):
    if "raise" in event:
        raise ValueError(event["raise"])
    if "exit" in event:
        sys.exit(event["exit"])
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "print" in event:
        print(event["print"])
    if "grow" in event:
        held = bytearray(event["grow"] * 2**20)
    if "size" in event:
        return "x" * event["size"]
    return {
        "event": event, "pid": os.getpid(), "id": context.aws_request_id,
        "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis(),
        "variables": dict(os.environ),
    }
"""


async def function(world: World, code: str = CODE, **more: Any) -> None:
    given = {"Code": {"ZipFile": zipped(code)}, "Runtime": "python3.11", **more}
    await make_function(world, "f", **given)


async def call(world: World, event: Any, **more: Any) -> dict[str, Any]:
    payload = json.dumps(event).encode()
    answer: dict[str, Any] = await world.call(
        "lambda", "invoke", FunctionName="f", Payload=payload, **more
    )
    answer["Payload"] = json.loads(answer["Payload"])
    return answer


@told
async def test_a_function_answers_and_knows_where_it_is(world: World) -> None:
    await function(world, Environment={"Variables": {"MINE": "a b", "LD_PRELOAD": "/x.so"}})
    answer = await call(world, {"a": [1]})
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    said = answer["Payload"]
    assert said["event"] == {"a": [1]}
    assert said["arn"] == ARN
    assert 2000 < said["left"] <= 3000
    variables = said["variables"]
    assert variables["MINE"] == "a b"
    assert variables["LD_PRELOAD"] == "/x.so"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert variables["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"
    assert variables["AWS_REGION"] == "us-east-1"
    trace = variables["_X_AMZN_TRACE_ID"]
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0", trace)
    assert variables["AWS_ENDPOINT_URL"] == world.cloud.endpoint
    caller = await world.who({
        "AccessKeyId": variables["AWS_ACCESS_KEY_ID"], "SessionToken": variables["AWS_SESSION_TOKEN"],
    })  # fmt: skip
    assert caller.arn == "arn:aws:sts::000000000000:assumed-role/runner/f_"


@told
async def test_an_environment_is_used_again_until_its_function_changes(world: World) -> None:
    await function(world)
    one = (await call(world, {}))["Payload"]["variables"]["AWS_LAMBDA_LOG_STREAM_NAME"]
    two = (await call(world, {}))["Payload"]["variables"]["AWS_LAMBDA_LOG_STREAM_NAME"]
    assert one == two
    await world.call("lambda", "delete_function", FunctionName="f")
    await function(world, CODE.replace('"pid"', '"new"'))
    said = (await call(world, {}))["Payload"]
    assert "new" in said
    assert said["variables"]["AWS_LAMBDA_LOG_STREAM_NAME"] != one


@told
async def test_an_environment_goes_before_its_roles_session_ends(world: World) -> None:
    await function(world)
    one = (await call(world, {}))["Payload"]["variables"]["AWS_ACCESS_KEY_ID"]
    await world.advance(minutes=50)
    assert (await call(world, {}))["Payload"]["variables"]["AWS_ACCESS_KEY_ID"] == one
    await world.advance(minutes=9)
    assert (await call(world, {}))["Payload"]["variables"]["AWS_ACCESS_KEY_ID"] != one


@told
async def test_what_a_function_raises_is_told(world: World) -> None:
    await function(world)
    answer = await call(world, {"raise": "boom"})
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    said = answer["Payload"]
    assert (said["errorType"], said["errorMessage"]) == ("ValueError", "boom")
    assert said["requestId"]
    assert 'app.py", line 5, in handler' in said["stackTrace"][-1]


@told
async def test_a_function_that_exits_is_said_to_have_exited(world: World) -> None:
    await function(world)
    answer = await call(world, {"exit": 3})
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == "Runtime.ExitError"
    assert answer["Payload"]["errorMessage"].endswith(
        "Error: Runtime exited with error: exit status 3"
    )
    answer = await call(world, {"exit": 0})
    assert answer["Payload"]["errorMessage"].endswith("Runtime exited without providing a reason")
    assert (await call(world, {"a": 1}))["Payload"]["event"] == {"a": 1}


@told
async def test_a_function_that_takes_too_long_is_ended(world: World) -> None:
    await function(world, Timeout=1)
    answer = await call(world, {"sleep": 30}, LogType="Tail")
    assert answer["Payload"]["errorType"] == "Sandbox.Timedout"
    assert answer["Payload"]["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "Task timed out after 1.00 seconds\n" in log
    assert "\tStatus: timeout" in log


@told
async def test_a_function_that_takes_too_much_memory_is_killed(world: World) -> None:
    needs_groups()
    await function(world, Timeout=20)
    answer = await call(world, {"grow": 300}, LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    assert answer["Payload"]["errorType"] == "Runtime.OutOfMemory"
    assert answer["Payload"]["errorMessage"].endswith(
        "Error: Runtime exited with error: signal: killed"
    )
    report = base64.b64decode(answer["LogResult"]).decode().splitlines()[-1]
    assert "\tMax Memory Used: 128 MB\t" in report
    assert report.endswith("Status: error\tError Type: Runtime.OutOfMemory")


@told
async def test_the_version_that_has_run_is_told(world: World) -> None:
    await function(world)
    await world.call("lambda", "publish_version", FunctionName="f")
    await world.settle()
    await world.call("lambda", "create_alias", FunctionName="f", Name="live", FunctionVersion="1")
    answer = await call(world, {}, Qualifier="live")
    assert answer["ExecutedVersion"] == "1"
    assert answer["Payload"]["arn"] == f"{ARN}:live"
    assert answer["Payload"]["variables"]["AWS_LAMBDA_FUNCTION_VERSION"] == "1"


@told
async def test_the_tail_of_the_log_comes_with_the_answer(world: World) -> None:
    await function(world)
    answer = await call(world, {"print": "hello\nworld"}, LogType="Tail")
    lines = base64.b64decode(answer["LogResult"]).decode().splitlines()
    request_id = answer["Payload"]["id"]
    assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[1:4] == ["hello", "world", f"END RequestId: {request_id}"]
    assert lines[4].startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert "\tMemory Size: 128 MB\tMax Memory Used: " in lines[4]
    assert "\tInit Duration: " in lines[4]
    again = await call(world, {}, LogType="Tail")
    assert "Init Duration" not in base64.b64decode(again["LogResult"]).decode()
    long = await call(world, {"print": "x" * 10_000}, LogType="Tail")
    assert len(base64.b64decode(long["LogResult"])) <= 4096


@told
async def test_a_handler_that_cannot_be_loaded_fails_each_call(world: World) -> None:
    await function(world, "import nothing_like_it\n")
    for _ in range(2):
        answer = await call(world, {}, LogType="Tail")
        assert answer["FunctionError"] == "Unhandled"
        assert b"[ERROR] Runtime.ImportModuleError: " in base64.b64decode(answer["LogResult"])
        assert answer["Payload"]["errorType"] == "Runtime.ImportModuleError"
        assert answer["Payload"]["errorMessage"] == (
            "Unable to import module 'app': No module named 'nothing_like_it'"
        )


@told
async def test_answers_and_events_have_greatest_sizes(world: World) -> None:
    await function(world, Timeout=20, MemorySize=256)
    answer = await call(world, {"size": 6 * 2**20 + 98})
    assert len(answer["Payload"]) == 6 * 2**20 + 98
    answer = await call(world, {"size": 6 * 2**20 + 99})
    assert answer["Payload"] == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }
    for kind, most in (("RequestResponse", 6 * 2**20), ("Event", 2**20)):
        error = await refused(world.call(
            "lambda", "invoke", FunctionName="f", Payload=b'"' + b"x" * (most - 1) + b'"',
            InvocationType=kind,
        ))  # fmt: skip
        assert error.code == "RequestTooLargeException"
        assert error.message == (
            f"{most + 1} byte payload is too large for the {kind} invocation type (limit {most} bytes)"
        )


@told
async def test_what_cannot_be_run_is_refused(world: World) -> None:
    await function(world)
    error = await refused(world.call("lambda", "invoke", FunctionName="f", Payload=b"{no json"))
    assert error.code == "InvalidRequestContentException"
    error = await refused(world.call("lambda", "invoke", FunctionName="g"))
    assert (error.code, error.message) == (
        "ResourceNotFoundException", f"Function not found: {ARN[:-1]}g",
    )  # fmt: skip
    answer = await world.call("lambda", "invoke", FunctionName="f", InvocationType="DryRun")
    assert answer == {"StatusCode": 204}


@told
async def test_a_runtime_that_is_not_here_is_said_to_be_missing(world: World) -> None:
    await function(world, Runtime="ruby3.4")
    error = await refused(world.call("lambda", "invoke", FunctionName="f"))
    assert error.code == "InvalidRuntimeException"
    assert "ruby3.4 is not on this machine" in error.message


@told
async def test_without_a_sandbox_a_function_is_a_process_with_a_folder_of_its_own(
    world: World,
) -> None:
    world.cloud.machine.environments.__dict__["sandbox"] = None
    await function(world)
    said = (await call(world, {"a": 1}))["Payload"]
    assert said["event"] == {"a": 1}
    assert said["variables"]["LAMBDA_TASK_ROOT"].startswith(str(world.cloud.data))
    scratch = Path(said["variables"]["TMPDIR"])
    assert scratch.is_dir()
    assert "PATH" in said["variables"]
    assert "HOME" not in said["variables"]
    await call(world, {"exit": 1})
    for _ in range(500):
        if not scratch.exists():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("what it wrote is still there")


BOOTSTRAP = """#!/bin/bash
printf 'begun\\n'
while true; do
  exec 3<>/dev/tcp/${AWS_LAMBDA_RUNTIME_API/://}
  printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n' >&3
  while IFS= read -r line <&3; do
    line=${line%$'\\r'}
    [ -z "$line" ] && break
    case $line in
      Lambda-Runtime-Aws-Request-Id:*) id=${line#*: } ;;
      Content-Length:*) length=${line#*: } ;;
    esac
  done
  IFS= read -r -N "$length" event <&3
  body="{\\"handler\\":\\"$_HANDLER\\",\\"event\\":$event,\\"layer\\":\\"$(cat /opt/said 2>&1)\\"}"
  printf 'POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: %d\\r\\n\\r\\n%s' "$id" "${#body}" "$body" >&3
  IFS= read -r line <&3
  exec 3>&-
done
"""


@told
async def test_a_program_of_ones_own_may_serve(world: World) -> None:
    info = zipfile.ZipInfo("bootstrap")
    info.external_attr = 0o755 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, BOOTSTRAP)
    given = {"Code": {"ZipFile": buffer.getvalue()}, "Runtime": "provided.al2023"}
    await make_function(world, "f", **given, Handler="my.handler")
    for number in range(2):
        said = (await call(world, number))["Payload"]
        assert (said["handler"], said["event"]) == ("my.handler", number)


@told
async def test_a_package_without_a_program_is_said_to_have_none(world: World) -> None:
    await function(world, Runtime="provided.al2023")
    answer = await call(world, {})
    assert answer["Payload"]["errorType"] == "Runtime.InvalidEntrypoint"
    assert answer["Payload"]["errorMessage"].endswith(
        "Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
    )


@told
async def test_an_environment_that_nobody_uses_goes_after_five_minutes(world: World) -> None:
    await function(world)
    one = (await call(world, {}))["Payload"]["variables"]["AWS_LAMBDA_LOG_STREAM_NAME"]
    world.host.run_to(world.host.seconds() + limits.IDLE_SECONDS - 1)
    assert (await call(world, {}))["Payload"]["variables"]["AWS_LAMBDA_LOG_STREAM_NAME"] == one
    environments = world.cloud.machine.environments
    assert len(environments.running) == 1
    world.host.run_to(world.host.seconds() + limits.IDLE_SECONDS)
    for _ in range(500):
        if not environments.running:
            break
        await asyncio.sleep(0.01)
    assert not environments.running
    assert (await call(world, {}))["Payload"]["variables"]["AWS_LAMBDA_LOG_STREAM_NAME"] != one


@told
async def test_an_account_has_a_thousand_executions_at_once(world: World) -> None:
    await function(world)
    workers = Workers.of(world.cloud.root_context())
    workers._unreserved[(ACCOUNT, REGION)] = 999
    assert (await call(world, {}))["StatusCode"] == 200
    workers._unreserved[(ACCOUNT, REGION)] = 1000
    error = await refused(world.call("lambda", "invoke", FunctionName="f"))
    assert (error.code, error.message) == ("TooManyRequestsException", "Rate Exceeded.")
    assert error.fields["Reason"] == "ConcurrentInvocationLimitExceeded"
    # What is reserved is not taken from the others, nor they from it.
    await world.call(
        "lambda", "put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=5
    )
    assert (await call(world, {}))["StatusCode"] == 200


@told
async def test_logs_may_be_json(world: World) -> None:
    code = "import logging\ndef handler(event, context):\n    logging.error('odd %s', event)\n"
    await function(world, code, LoggingConfig={"LogFormat": "JSON"})
    answer = await call(world, 5, LogType="Tail")
    start, own, end, report = map(
        json.loads, base64.b64decode(answer["LogResult"]).decode().splitlines()
    )
    assert (start["type"], start["record"]["version"]) == ("platform.start", "$LATEST")
    assert (own["level"], own["message"]) == ("ERROR", "odd 5")
    assert own["requestId"] == start["record"]["requestId"]
    assert end["type"] == "platform.end"
    assert report["record"]["metrics"]["memorySizeMB"] == 128
    assert report["record"]["status"] == "success"


LAYERED = """
import mine, os
def handler(event, context):
    return [mine.said, sorted(os.listdir(os.path.dirname(os.path.dirname(mine.__file__))))]
"""


@told
async def test_a_published_layer_is_found(world: World) -> None:
    layer = await world.call(
        "lambda", "publish_layer_version", LayerName="mine",
        Content={"ZipFile": zipped("said = 'from a layer'", "python/mine.py")},
    )  # fmt: skip
    code = "import mine\ndef handler(event, context):\n    return mine.said\n"
    await function(world, code, Layers=[layer["LayerVersionArn"]])
    assert (await call(world, {}))["Payload"] == "from a layer"


@told
async def test_layers_are_laid_over_each_other_in_their_order(world: World) -> None:
    await function(world)
    folder = world.cloud.data / "layers"
    for name, files in {
        "one": {"python/mine.py": "said = 'one'", "a": "1"},
        "two": {"python/mine.py": "said = 'two'", "b": "2"},
        "code": {"app.py": LAYERED},
    }.items():  # fmt: skip
        for place, text in files.items():
            path = folder / name / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    spec = Spec(
        account=ACCOUNT, region=REGION, partition="aws", name="f", version="$LATEST",
        arn=f"{ARN}:$LATEST", role=ROLE, runtime="python3.11", handler="app.handler",
        code=folder / "code", revision="r", layers=(folder / "one", folder / "two"), timeout_s=20,
        log_group="/aws/lambda/f",
    )  # fmt: skip
    ctx = world.cloud.context_for(ACCOUNT, REGION)
    outcome = await invoked(ctx, spec, Asked("r1", b"1", ARN))
    said, names = json.loads(outcome.payload)
    assert said == "two"
    assert names == ["a", "b", "python"]


@told
async def test_libraries_of_this_machine_are_not_those_of_functions(world: World) -> None:
    await function(world, "import pip\ndef handler(event, context):\n    return pip.__file__\n")
    answer = await call(world, {})
    if world.cloud.machine.environments.sandbox:
        assert answer["Payload"]["errorMessage"].endswith("No module named 'pip'")


async def logged(world: World, count: int) -> list[str]:
    """The function's log, once it has so many lines."""
    for _ in range(500):
        await world.settle()
        try:
            found = await world.call("logs", "filter_log_events", logGroupName="/aws/lambda/f")
        except AwsError:
            found = {"events": []}
        if len(found["events"]) >= count:
            return [event["message"] for event in found["events"]]
        await asyncio.sleep(0.01)
    raise AssertionError("it never came")


async def let_log(world: World) -> None:
    """Let the function's role write logs."""
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}],
    }
    await world.call(
        "iam", "put_role_policy", RoleName="runner", PolicyName="logs",
        PolicyDocument=json.dumps(document),
    )  # fmt: skip


@told
async def test_a_function_that_writes_much_is_logged_while_it_runs(world: World) -> None:
    code = """
import time
def handler(event, context):
    print(f"{'x' * 1000}\\n" * 1200, end="", flush=True)
    time.sleep(event)
"""
    await function(world, code, Timeout=30)
    await let_log(world)
    slow = asyncio.ensure_future(call(world, 20))
    found = await logged(world, 1000)
    assert not slow.done()
    assert found[:2][1].startswith("START RequestId: ")
    slow.cancel()


@told
async def test_what_cannot_be_held_of_a_log_is_lost(world: World) -> None:
    await function(world)
    ctx = world.cloud.context_for(ACCOUNT, REGION)
    journal = Journal(ctx, await a_spec(world), "s")
    journal.send = lambda: None  # type: ignore[method-assign]
    for _ in range(40):
        journal.heard(b"x" * (2**20 - 1) + b"\n")
    assert len(journal._waiting) == 32
    while journal._waiting:
        journal._batch()
    assert journal._held_bytes == 0


async def a_spec(world: World) -> Spec:
    """What runs the function."""
    ctx = world.cloud.context_for(ACCOUNT, REGION)
    target = await target_of(ctx.read(), ctx, {"FunctionName": "f"})
    return await Workers.of(ctx).spec_of(ctx, target)


def test_a_start_that_takes_too_long_is_tried_again_in_the_time_of_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "INIT_SECONDS", 0.05)

    async def story(world: World) -> None:
        await function(world, "import time\ntime.sleep(0.2)\n" + CODE, Timeout=20)
        assert (await call(world, {"a": 1}))["Payload"]["event"] == {"a": 1}
        await world.call("lambda", "delete_function", FunctionName="f")
        await function(world, "import time\ntime.sleep(20)\n" + CODE, Timeout=1)
        answer = await call(world, {})
        assert answer["Payload"]["errorType"] == "Sandbox.Timedout"

    run(story)
