"""What runs JavaScript handlers, as a program that serves events."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from doppio.machine import bootstraps, interpreters
from doppio.machine.environments import Plan
from doppio.machine.guest import Guest, Reply
from doppio.machine.sandbox import View
from tests.machine.guests import MEGABYTE, environments

SCRIPT = Path(bootstraps.__file__).parent / "node.mjs"
NODE = interpreters.node("20")
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node.js on this machine")


def replies(
    tmp_path: Path, files: dict[str, str], *events: Any, handler: str = "app.handler"
) -> tuple[list[Reply], str, bytes]:
    """What a package says at its start and to some events; its output, and what it streamed."""
    assert NODE is not None
    interpreter = NODE
    said: list[bytes] = []
    parts: list[bytes] = []
    task = tmp_path / "task"
    task.mkdir()
    for name, text in files.items():
        (task / name).write_text(text)

    async def run() -> list[Reply]:
        async with environments(tmp_path / "run") as made:
            guest = Guest(made, MEGABYTE)
            guest.heard = said.append
            await guest.open()
            places = {"/var/task": task, "/var/runtime/bootstrap.mjs": SCRIPT}
            if not interpreter.root.is_relative_to("/usr"):
                places[str(interpreter.root)] = interpreter.root
            view = View(places, MEGABYTE, "/var/task")
            variables = {
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{guest.api.port}", "_HANDLER": handler,
                "LAMBDA_TASK_ROOT": made.place("g", view, "/var/task"),
                "AWS_LAMBDA_FUNCTION_NAME": "f",
            }  # fmt: skip
            script = made.place("g", view, "/var/runtime/bootstrap.mjs")
            program = (str(interpreter.program), script)
            plan = Plan("g", program, variables, view, 256 * MEGABYTE)
            found = [await guest.start(plan, 30)]
            for number, event in enumerate(events):
                payload = json.dumps(event).encode()
                found.append(await guest.invoke(f"r{number}", payload, {}, 30, parts.append))
            return found

    return asyncio.run(run()), b"".join(said).decode(), b"".join(parts)


def told(reply: Reply) -> Any:
    assert reply.said is not None
    return json.loads(reply.said.body)


def test_async_handlers_and_those_with_callbacks_answer(tmp_path: Path) -> None:
    files = {
        "app.js": "exports.handler = async (event, context) => {\n"
        "  console.log('one\\ntwo');\n"
        "  return [event, context.functionName, context.getRemainingTimeInMillis() > 1000];\n};\n"
        "exports.back = (event, context, done) => setTimeout(() => done(null, event), 1);\n"
    }
    (start, reply), said, _ = replies(tmp_path, files, {"a": 1})
    assert start.said is None
    assert told(reply) == [{"a": 1}, "f", True]
    assert said.split("\t")[1:] == ["r0", "INFO", "one\rtwo\n"]
    (tmp_path / "b").mkdir()
    (_, reply), _, _ = replies(tmp_path / "b", files, 7, handler="app.back")
    assert told(reply) == 7


def test_modules_of_both_kinds_are_loaded(tmp_path: Path) -> None:
    files = {"app.mjs": "export const handler = async (event) => event + 1;"}
    (_, one, two), _, _ = replies(tmp_path, files, 1, 2)
    assert (told(one), told(two)) == (2, 3)


def test_what_a_handler_throws_is_told(tmp_path: Path) -> None:
    code = "exports.handler = async () => { throw new RangeError('far'); };"
    (_, reply), said, _ = replies(tmp_path, {"app.js": code}, 1)
    assert reply.said is not None
    assert reply.said.failed
    found = told(reply)
    assert (found["errorType"], found["errorMessage"]) == ("RangeError", "far")
    assert found["trace"][0] == "RangeError: far"
    assert "\tERROR\tInvoke Error \t" in said


def test_a_handler_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    (start,), _, _ = replies(tmp_path, {"app.js": "exports.other = 1;"})
    assert told(start)["errorType"] == "Runtime.HandlerNotFound"
    (tmp_path / "b").mkdir()
    (start,), _, _ = replies(tmp_path / "b", {"other.js": ""})
    assert told(start)["errorType"] == "Runtime.ImportModuleError"


def test_a_streaming_handler_answers_in_parts(tmp_path: Path) -> None:
    code = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  for (let n = 0; n < 3; n++) stream.write(`part ${n};`);
  stream.end();
});
"""
    (_, reply, again), _, streamed = replies(tmp_path, {"app.js": code}, 1, 2)
    assert reply.said is not None
    assert reply.said.streamed
    assert streamed == b"part 0;part 1;part 2;" * 2
    assert again.said is not None


def test_a_stream_that_breaks_off_says_why(tmp_path: Path) -> None:
    code = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.write("begun");
  throw new TypeError("torn");
});
"""
    (_, reply), _, streamed = replies(tmp_path, {"app.js": code}, 1)
    assert streamed == b"begun"
    assert reply.said is not None
    assert (reply.said.failed, reply.said.error_type) == (True, "TypeError")
    assert told(reply)["errorMessage"] == "torn"
