"""The Runtime API, spoken to over a socket as programs do."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable

import pytest

from doppio.gateway.loop import loop_factory
from doppio.machine.runtime_api import Invocation, RuntimeApi

ROOT = "/2018-06-01/runtime"
Answer = tuple[int, dict[str, str], bytes]


class Program:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        lines = [f"{method} {ROOT}{path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        return await self.answer()

    async def answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.strip().split("\r\n")
        found = {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}
        body = await self.reader.readexactly(int(found["content-length"]))
        return int(first.split()[1]), found, body


def told(story: Callable[[RuntimeApi, Program], Awaitable[None]]) -> Callable[[], None]:
    """A story of an API and a program that is connected to it."""

    def test() -> None:
        async def run() -> None:
            async def known(port: int, own: int) -> bool:
                return True

            api = RuntimeApi(known, 100)
            await api.open()
            program = Program(*await asyncio.open_connection("127.0.0.1", api.port))
            try:
                await asyncio.wait_for(story(api, program), 10)
            finally:
                api.close()
                program.writer.close()

        asyncio.run(run())

    return test


def event(request_id: str = "r1") -> Invocation:
    return Invocation(request_id, b'{"a":1}', {"Lambda-Runtime-Deadline-Ms": "5"})


@told
async def test_a_program_gets_its_event_and_answers_it(api: RuntimeApi, program: Program) -> None:
    asked = asyncio.ensure_future(program.ask("GET", "/invocation/next"))
    assert await api.started is None
    said = api.invoke(event())
    status, headers, body = await asked
    assert (status, body) == (200, b'{"a":1}')
    assert headers["lambda-runtime-aws-request-id"] == "r1"
    assert headers["lambda-runtime-deadline-ms"] == "5"
    status, _, body = await program.ask("POST", "/invocation/r1/response", b"[2]")
    assert (status, json.loads(body)) == (202, {"status": "OK"})
    assert (await said).body == b"[2]"
    assert not (await said).failed
    status, _, body = await program.ask("POST", "/invocation/r1/response", b"[3]")
    assert (status, json.loads(body)["errorType"]) == (400, "InvalidRequestID")


@told
async def test_errors_are_told_with_their_type(api: RuntimeApi, program: Program) -> None:
    said = api.invoke(event())
    await program.ask("GET", "/invocation/next")
    kind = {"Lambda_Runtime_Function_Error_Type": "My.Error"}
    await program.ask("POST", "/invocation/r1/error", b"{}", **kind)
    assert (await said).failed
    assert (await said).error_type == "My.Error"


@told
async def test_a_program_may_say_that_it_cannot_start(api: RuntimeApi, program: Program) -> None:
    await program.ask("POST", "/init/error", b'{"errorType":"X"}')
    said = await api.started
    assert said is not None
    assert (said.failed, said.of_start, said.body) == (True, True, b'{"errorType":"X"}')


@told
async def test_an_answer_has_a_greatest_size(api: RuntimeApi, program: Program) -> None:
    said = api.invoke(event())
    await program.ask("GET", "/invocation/next")
    status, _, body = await program.ask("POST", "/invocation/r1/response", b"x" * 101)
    assert (status, json.loads(body)["errorType"]) == (413, "RequestEntityTooLarge")
    assert (await said).too_large == 101
    said = api.invoke(event("r2"))
    await program.ask("GET", "/invocation/next")
    assert (await program.ask("POST", "/invocation/r2/response", b"x" * 100))[0] == 202
    assert (await said).body == b"x" * 100


@told
async def test_a_streamed_answer_comes_in_parts(api: RuntimeApi, program: Program) -> None:
    parts: list[bytes] = []
    said = api.invoke(event(), parts.append)
    await program.ask("GET", "/invocation/next")
    program.writer.write(
        f"POST {ROOT}/invocation/r1/response HTTP/1.1\r\nHost: x\r\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n".encode()
    )
    while not parts:
        await asyncio.sleep(0)
    assert not said.done()
    program.writer.write(b"c8\r\n" + b"d" * 200 + b"\r\n0\r\n\r\n")
    assert (await program.answer())[0] == 202
    assert b"".join(parts) == b"abc" + b"d" * 200
    assert (await said).streamed
    assert not (await said).too_large


@told
async def test_other_paths_and_other_protocols_get_nowhere(
    api: RuntimeApi, program: Program
) -> None:
    assert (await program.ask("GET", "/invocation/r1/response"))[0] == 404
    assert (await program.ask("GET", "/../secret"))[0] == 404
    program.writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
    assert await program.reader.read() == b""


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, loop_factory()])
def test_nothing_is_heard_before_it_is_known_who_speaks(
    factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def run() -> None:
        asked, answered = asyncio.Event(), asyncio.Event()

        async def known(port: int, own: int) -> bool:
            asked.set()
            await answered.wait()
            return True

        api = RuntimeApi(known, 100)
        await api.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        words = f"GET {ROOT}/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        writer.write(words[:20])
        await asked.wait()
        await asyncio.sleep(0.02)
        writer.write(words[20:])
        said = api.invoke(event())
        await asyncio.sleep(0.02)
        assert not api.started.done()
        answered.set()
        await asyncio.wait_for(api.started, 5)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert not said.done()
        writer.close()
        api.close()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run())


def test_a_stranger_is_not_served() -> None:
    async def run() -> None:
        async def known(port: int, own: int) -> bool:
            return False

        api = RuntimeApi(known, 100)
        await api.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(f"GET {ROOT}/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert not api.started.done()
        writer.close()
        api.close()

    asyncio.run(run())
