"""Programs that serve events: their starts, their answers, and their ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from doppio.gateway import loop
from doppio.machine import bootstraps
from doppio.machine.environments import Environments, Plan
from doppio.machine.guest import Guest
from doppio.machine.sandbox import View
from tests.machine.guests import MEGABYTE, PYTHON, environments, needs_linux

SCRIPT = Path(bootstraps.__file__).parent / "python.py"


async def guest(made: Environments, code: Path, handler: str = "app.handler") -> tuple[Guest, Plan]:
    """A program that serves a handler, not started yet."""
    found = Guest(made, 1000)
    await found.open()
    view = View(
        {"/var/task": code, "/var/runtime/bootstrap.py": SCRIPT, str(PYTHON.root): PYTHON.root},
        MEGABYTE, "/var/task",
    )  # fmt: skip
    variables = {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{found.api.port}", "_HANDLER": handler,
        "LAMBDA_TASK_ROOT": made.place("g", view, "/var/task"),
    }  # fmt: skip
    command = (str(PYTHON.program), made.place("g", view, "/var/runtime/bootstrap.py"))
    return found, Plan("g", command, variables, view, 128 * MEGABYTE)


def told(code: str) -> Callable[[Callable[..., Awaitable[None]]], Callable[[Path], None]]:
    """A story of a program with this code, which has started."""

    def decorate(story: Callable[..., Awaitable[None]]) -> Callable[[Path], None]:
        def test(tmp_path: Path) -> None:
            async def run() -> None:
                task = tmp_path / "task"
                task.mkdir()
                (task / "app.py").write_text(code)
                async with environments(tmp_path / "run") as made:
                    found, plan = await guest(made, task)
                    reply = await found.start(plan, 20)
                    assert (reply.what, reply.said) == ("said", None)
                    await asyncio.wait_for(story(found), 30)

            loop.run(run())

        return test

    return decorate


@told("n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    return [event, n]")
async def test_it_answers_one_event_after_the_other_and_rests_between(found: Guest) -> None:
    for number in range(1, 4):
        found.wake()
        reply = await found.invoke(f"r{number}", b'"hi"', {}, 5)
        assert reply.what == "said"
        assert reply.said is not None
        assert json.loads(reply.said.body) == ["hi", number]
        found.rest()
        while not found.environment or not found.environment.frozen:
            await asyncio.sleep(0.001)


@told("import time\ndef handler(event, context):\n    time.sleep(60)")
async def test_one_that_is_late_is_ended(found: Guest) -> None:
    reply = await found.invoke("r1", b"1", {}, 0.2)
    assert reply.what == "late"
    assert found.environment is not None
    await asyncio.wait_for(found.environment.ended, 10)


@told("import os\ndef handler(event, context):\n    os._exit(7)")
async def test_one_that_ends_is_not_waited_for(found: Guest) -> None:
    reply = await found.invoke("r1", b"1", {}, 20)
    assert (reply.what, reply.status) == ("ended", 7)


@needs_linux
@told("def handler(event, context):\n    return event")
async def test_its_events_are_not_given_to_other_processes(found: Guest) -> None:
    def steal() -> bytes:
        with socket.create_connection(("127.0.0.1", found.api.port), 5) as thief:
            thief.settimeout(5)
            try:
                thief.sendall(
                    b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"
                )
                return thief.recv(100)
            except ConnectionError:
                return b""

    assert await asyncio.get_running_loop().run_in_executor(None, steal) == b""
    reply = await found.invoke("r1", b"5", {}, 20)
    assert reply.said is not None
    assert reply.said.body == b"5"
