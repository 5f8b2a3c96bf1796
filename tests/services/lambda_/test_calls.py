"""Invoke, through the door: real processes run real code."""

from __future__ import annotations

import asyncio
import base64
import io
import re
import zipfile
from pathlib import Path

from tests.machine.guests import needs_groups
from tests.services.lambda_.base import make_function
from tests.services.lambda_.calling import ARN, CODE, call, function
from tests.services.world import World, refused, told


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
async def test_a_function_whose_role_is_gone_cannot_run(world: World) -> None:
    await function(world)
    await world.call("iam", "delete_role", RoleName="runner")
    error = await refused(world.call("lambda", "invoke", FunctionName="f"))
    assert (error.code, error.message) == (
        "AccessDeniedException", "The role defined for the function cannot be assumed by Lambda.",
    )  # fmt: skip
