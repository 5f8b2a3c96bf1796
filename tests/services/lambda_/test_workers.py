"""Environments of functions: how long they stay, what is in them, and what of them is logged."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from doppio.services.lambda_ import limits
from doppio.services.lambda_.invocations import Asked, invoked
from doppio.services.lambda_.journal import Journal
from doppio.services.lambda_.running import Spec
from doppio.services.lambda_.specs import target_of
from doppio.services.lambda_.workers import Workers
from doppio.wire.errors import AwsError
from tests.services.lambda_.base import ROLE, zipped
from tests.services.lambda_.calling import ARN, CODE, call, function
from tests.services.world import ACCOUNT, REGION, World, refused, run, told


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
async def test_a_function_is_somebody_and_speaks_utf_8(world: World) -> None:
    code = """
import locale, pwd, os
def handler(event, context):
    return [pwd.getpwuid(os.getuid()).pw_name, locale.getpreferredencoding(), event]
"""
    await function(world, code)
    who, encoding, event = (await call(world, "\u00e4\u6f22"))["Payload"]
    assert (encoding.lower(), event) == ("utf-8", "\u00e4\u6f22")
    if world.cloud.machine.environments.sandbox:
        assert who == "sbx_user1051"


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
