"""Whatever bytes come: the listener answers or ends the connection, and goes on."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from .sockets import Listening, echo, get, listening, run

pytestmark = pytest.mark.usefixtures("on_each_loop")


async def survives(here: Listening, data: bytes) -> None:
    """After these bytes there is an answer or an end, and the server goes on."""
    peer = await here.connect()
    with contextlib.suppress(ConnectionError):
        await peer.send(data)
        peer.writer.write_eof()
    answer = await peer.rest()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    await peer.close()
    check = await here.connect()
    await check.send(get("/alive"))
    assert (await check.answer())[2] == b"GET /alive? "
    await check.close()
    assert here.crashes == []


WORDS = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"PUT /x HTTP/1.1\r\n", b"Host: x\r\n", b"Content-Length: 5\r\n", b"\r\n",
     b"Transfer-Encoding: chunked\r\n", b"5\r\nabcde\r\n", b"0\r\n\r\n", b"abcde",
     b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"\xff\x00", b"http://a/b"]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(WORDS, st.binary(max_size=20)), max_size=12))
@example([b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n", b"abcde"])
def test_whatever_a_client_sends_it_gets_an_answer_or_an_end(parts: list[bytes]) -> None:
    async def story() -> None:
        async with listening(echo, small_body_bytes_max=4) as here:
            await survives(here, b"".join(parts))

    run(story())
