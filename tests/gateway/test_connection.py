from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from doppio.wire.errors import AwsError
from doppio.wire.http import Request, Response

from .sockets import echo, get, listening, put, run, until

pytestmark = pytest.mark.usefixtures("on_each_loop")


def test_a_connection_is_used_again() -> None:
    async def story() -> None:
        async with listening(echo) as here:
            peer = await here.connect()
            for number in range(3):
                await peer.send(get(f"/{number}?q"))
                status, headers, body = await peer.answer()
                assert (status, body) == (200, f"GET /{number}?q ".encode())
                assert "connection" not in headers
                assert headers["server"] == "doppio"
                assert headers["date"] == "Sun, 17 Mar 2030 17:46:40 GMT"

    run(story())


def test_what_is_no_utf8_is_read_as_text_that_can_be_written_again() -> None:
    async def shown(request: Request) -> Response:
        text = request.headers["x-a"].encode()
        return Response(200, [("content-type", "text/plain")], text)

    async def story() -> None:
        async with listening(shown) as here:
            peer = await here.connect()
            for sent, read in (
                ("café".encode(), "café"), ("café".encode("latin-1"), "café"),
                (b"\x80\xff", "\x80\xff"), (b"\xed\xa0\x80", "\xed\xa0\x80"),
            ):  # fmt: skip
                await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + sent)
                await peer.send(b"\r\nX-A: " + sent + b"\r\n\r\n")
                status, _, body = await peer.answer()
                assert (status, body.decode()) == (200, f"{read},{read}")
            assert here.crashes == []

    run(story())


def test_requests_sent_ahead_are_answered_in_order() -> None:
    async def slower_first(request: Request) -> Response:
        if request.path == "/0":
            await asyncio.sleep(0.05)
        return await echo(request)

    async def story() -> None:
        async with listening(slower_first, pipelined_max=4) as here:
            peer = await here.connect()
            await peer.send(b"".join(put(b"x" * n, f"/{n}") for n in range(20)))
            for number in range(20):
                _, _, body = await peer.answer()
                assert body == f"PUT /{number}? ".encode() + b"x" * number

    run(story())


def test_a_request_may_come_byte_by_byte() -> None:
    async def story() -> None:
        async with listening(echo) as here:
            peer = await here.connect()
            for byte in put(b"body", "/slow"):
                await peer.send(bytes([byte]))
            assert (await peer.answer())[2] == b"PUT /slow? body"

    run(story())


def test_a_client_may_ask_to_close() -> None:
    async def story() -> None:
        async with listening(echo) as here:
            peer = await here.connect()
            await peer.send(get("/", Connection="close"))
            _, headers, _ = await peer.answer()
            assert headers["connection"] == "close"
            assert await peer.rest() == b""
            old = await here.connect()
            await old.send(b"GET / HTTP/1.0\r\n\r\n")
            assert b"connection: close" in await old.rest()

    run(story())


def test_a_small_body_that_waits_for_leave_gets_it() -> None:
    async def story() -> None:
        async with listening(echo) as here:
            peer = await here.connect()
            await peer.send(put(b"", Expect="100-continue").replace(b"Length: 0", b"Length: 4"))
            assert (await peer.head())[0] == 100
            await peer.send(b"body")
            assert (await peer.answer())[2] == b"PUT /? body"

    run(story())


def test_a_large_body_is_asked_for_only_when_it_is_read() -> None:
    async def choosy(request: Request) -> Response:
        return await echo(request) if request.path == "/yes" else Response(403, [], b"no")

    async def story() -> None:
        async with listening(choosy, small_body_bytes_max=10) as here:
            body = b"z" * 1000
            yes = await here.connect()
            await yes.send(put(body, "/yes", Expect="100-continue")[: -len(body)])
            assert (await yes.head())[0] == 100
            await yes.send(body)
            assert (await yes.answer())[2] == b"PUT /yes? " + body
            no = await here.connect()
            await no.send(put(body, "/no", Expect="100-continue")[: -len(body)])
            assert (await no.head())[0] == 403
            assert await no.rest() == b"no"

    run(story())


def test_large_bodies_stream_in_and_out_and_the_connection_goes_on() -> None:
    async def there_and_back(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in request.body:
                yield bytes(chunk)

        if request.method == "GET":
            return await echo(request)
        return Response(200, [], chunks())

    async def story() -> None:
        async with listening(there_and_back, held_body_bytes_max=100_000) as here:
            peer = await here.connect()
            body = bytes(range(256)) * 20_000
            sending = asyncio.create_task(peer.send(put(body)))
            assert (await peer.answer())[2] == body
            await sending
            await peer.send(get("/after"))
            assert (await peer.answer())[2] == b"GET /after? "

    run(story())


def test_a_client_that_sends_faster_than_is_read_is_held_back() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def lazy(request: Request) -> Response:
        begun.set()
        await go.wait()
        return Response(200, [], str(len((await echo(request)).body)).encode())  # type: ignore[arg-type]

    async def story() -> None:
        async with listening(lazy, held_body_bytes_max=100_000) as here:
            peer = await here.connect()
            sending = asyncio.create_task(peer.send(put(b"x" * 30_000_000)))
            await begun.wait()
            await asyncio.sleep(0.2)
            (connection,) = here.server._connections
            assert connection._stream is not None
            held = connection._stream._held
            assert 100_000 < held < 2_000_000
            assert not sending.done()
            go.set()
            assert (await peer.answer())[2] == str(30_000_000 + len("PUT /? ")).encode()

    run(story())


def test_a_chunked_body_is_read() -> None:
    async def story() -> None:
        async with listening(echo) as here:
            peer = await here.connect()
            await peer.send(
                b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" + get("/next")
            )
            assert (await peer.answer())[2] == b"PUT /? abcde"
            assert (await peer.answer())[2] == b"GET /next? "

    run(story())


def test_lines_after_a_chunked_body_are_no_headers_and_do_not_pile_up() -> None:
    seen: list[Request] = []

    async def noting(request: Request) -> Response:
        seen.append(request)
        return await echo(request)

    async def story() -> None:
        async with listening(noting) as here:
            peer = await here.connect()
            await peer.send(
                b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"
            )
            for number in range(5):
                await peer.send(f"Host: x\r\nX-{number}: {'v' * 100}\r\n".encode())
                await asyncio.sleep(0.005)
                (connection,) = here.server._connections
                assert len(connection._lines) <= 2
            await peer.send(b"\r\n")
            assert (await peer.answer())[2] == b"PUT /? ab"
            assert list(seen[0].headers) == ["host", "transfer-encoding"]
            await peer.send(get("/next"))
            assert (await peer.answer())[2] == b"GET /next? "

    run(story())


def test_an_iterator_without_length_goes_out_in_chunks_and_is_closed() -> None:
    closed = []

    async def pieces() -> AsyncIterator[bytes]:
        try:
            for piece in (b"one", b"", b"two"):
                yield piece
        finally:
            closed.append(True)

    async def handler(request: Request) -> Response:
        return Response(200, [], pieces())

    async def story() -> None:
        async with listening(handler) as here:
            peer = await here.connect()
            await peer.send(get())
            _, headers, body = await peer.answer()
            assert (headers["transfer-encoding"], body, closed) == ("chunked", b"onetwo", [True])
            await peer.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + get())
            assert (await peer.answer(no_body=True))[0] == 200
            assert (await peer.answer())[2] == b"onetwo"

    run(story())


def test_an_answer_to_a_client_that_is_gone_troubles_nobody() -> None:
    reported: list[dict[str, object]] = []

    async def story() -> None:
        async def handler(request: Request) -> Response:
            if request.path == "/gone":
                # The news waits its turn, and is there when the answer would go out.
                leaving.abort()
            return await echo(request)

        asyncio.get_running_loop().set_exception_handler(lambda _, what: reported.append(what))
        async with listening(handler) as here:
            leaver = await here.connect()
            await leaver.send(get())
            await leaver.answer()
            (leaving,) = here.server._connections
            others = [await here.connect() for _ in range(4)]
            leaver.writer.write(get("/gone"))
            for other in others:
                other.writer.write(get("/x"))
            for other in others:
                assert (await other.answer())[2] == b"GET /x? "
            assert await leaver.rest() == b""
            await until(lambda: len(here.server._connections) == 4)
        assert (reported, here.crashes) == ([], [])

    run(story())


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_have_none(status: int) -> None:
    async def handler(request: Request) -> Response:
        return Response(status, [], b"not to be seen")

    async def story() -> None:
        async with listening(handler) as here:
            peer = await here.connect()
            await peer.send(get() + get())
            for _ in range(2):
                found, headers, _ = await peer.answer()
                assert found == status
                assert "content-length" not in headers

    run(story())


def test_a_header_with_a_line_break_is_never_sent() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [("x-evil", "a\r\nset-cookie: b")], b"")

    async def story() -> None:
        async with listening(handler) as here:
            peer = await here.connect()
            await peer.send(get())
            assert (await peer.answer())[0] == 500

    run(story())


def test_a_crash_is_a_500_and_the_connection_goes_on() -> None:
    async def handler(request: Request) -> Response:
        if request.path == "/bad":
            raise KeyError("secret")
        return await echo(request)

    async def story() -> None:
        async with listening(handler) as here:
            peer = await here.connect()
            await peer.send(get("/bad") + get("/good"))
            status, _, body = await peer.answer()
            assert (status, body) == (500, b"crashed")
            assert isinstance(here.crashes[0], KeyError)
            assert (await peer.answer())[2] == b"GET /good? "

    run(story())


def test_a_client_that_goes_away_cancels_its_request() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def forever(request: Request) -> Response:
        started.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()
        raise AssertionError

    async def story() -> None:
        async with listening(forever) as here:
            peer = await here.connect()
            await peer.send(get())
            await started.wait()
            await peer.close()
            await asyncio.wait_for(ended.wait(), 5)
            assert here.crashes == []

    run(story())


def test_a_body_that_breaks_off_fails_its_reader() -> None:
    found: list[str] = []
    done = asyncio.Event()

    async def handler(request: Request) -> Response:
        try:
            return await echo(request)
        except Exception as error:
            found.append(type(error).__name__)
            raise
        finally:
            done.set()

    async def story() -> None:
        async with listening(handler, small_body_bytes_max=10) as here:
            peer = await here.connect()
            await peer.send(put(b"x" * 1000)[:-500])
            await asyncio.sleep(0.05)
            await peer.close()
            await asyncio.wait_for(done.wait(), 5)
            assert found == ["IncompleteBody"]

    run(story())


BAD = {
    "no http": b"hello\r\n\r\n",
    "two lengths": put(b"x", **{"content-length": "1"}),
    "length and chunks": put(b"x", Transfer_Encoding="chunked"),
    "no number": put(b"x").replace(b"Length: 1", b"Length: one"),
    "negative": put(b"x").replace(b"Length: 1", b"Length: -1"),
    "no ASCII": b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    "folded": b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_request_is_refused_and_the_connection_closed(data: bytes) -> None:
    async def story() -> None:
        async with listening(echo) as here:
            peer = await here.connect()
            await peer.send(data)
            status, headers, _ = await peer.answer()
            assert 400 <= status < 500
            assert headers["connection"] == "close"
            assert await peer.rest() == b""
            assert here.crashes == []

    run(story())


def test_a_wish_to_upgrade_is_ignored() -> None:
    async def story() -> None:
        async with listening(echo) as here:
            peer = await here.connect()
            await peer.send(get(Upgrade="h2c", Connection="Upgrade"))
            status, headers, _ = await peer.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert await peer.rest() == b""

    run(story())


def test_the_reader_of_a_malformed_chunk_hears_of_it() -> None:
    async def handler(request: Request) -> Response:
        with pytest.raises(AwsError) as caught:
            await echo(request)
        return Response(caught.value.status, [], caught.value.code.encode())

    async def story() -> None:
        async with listening(handler) as here:
            peer = await here.connect()
            await peer.send(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
            assert (await peer.answer())[::2] == (400, b"InvalidRequest")
            assert await peer.rest() == b""

    run(story())


def test_a_client_that_says_it_sends_no_more_is_still_answered() -> None:
    async def soon(request: Request) -> Response:
        if request.path == "/later":
            await asyncio.sleep(0.02)
        return await echo(request)

    async def story() -> None:
        async with listening(soon) as here:
            for path in ("/now", "/later"):
                peer = await here.connect()
                peer.writer.write(get(path))
                peer.writer.write_eof()
                assert (await peer.answer())[2] == f"GET {path}? ".encode()
                assert await peer.rest() == b""

    run(story())


def test_a_head_may_not_be_endless() -> None:
    async def story() -> None:
        async with listening(echo, head_bytes_max=1000) as here:
            peer = await here.connect()
            await peer.send(get("/", Cookie="x" * 2000))
            assert (await peer.answer())[0] == 431
            other = await here.connect()
            await other.send(b"GET /" + b"a" * 5000)
            assert (await other.answer())[0] == 431

    run(story())


def test_after_the_request_that_is_to_be_the_last_none_is_answered() -> None:
    async def story() -> None:
        async with listening(echo, small_body_bytes_max=10) as here:
            peer = await here.connect()
            last = put(b"x" * 50, "/last", Connection="close")
            await peer.send(get("/first") + last[:-20])
            _, head, said = await peer.answer()
            assert said == b"GET /first? "
            assert "connection" not in head
            await peer.send(last[-20:] + get("/no", Connection="close"))
            _, head, said = await peer.answer()
            assert said == b"PUT /last? " + b"x" * 50
            assert head["connection"] == "close"
            assert await peer.rest() == b""

    run(story())
