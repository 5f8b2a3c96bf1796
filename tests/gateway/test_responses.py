from __future__ import annotations

from pathlib import Path

import pytest

from doppio.gateway.responses import Heads, body_length, has_no_body
from doppio.wire.http import FileRange, Response


def head(response: Response, *, keep_alive: bool = True, chunked: bool = False) -> list[str]:
    text = Heads("doppio", lambda: 0.0).head(response, keep_alive=keep_alive, chunked=chunked)
    assert text.endswith(b"\r\n\r\n")
    return text.decode("latin-1").split("\r\n")[:-2]


def test_a_head_has_status_headers_length_date_and_server() -> None:
    assert head(Response(200, [("content-type", "a/b")], b"body")) == [
        "HTTP/1.1 200 OK",
        "content-type: a/b",
        "content-length: 4",
        "date: Thu, 01 Jan 1970 00:00:00 GMT",
        "server: doppio",
    ]


def test_a_given_length_stays_and_chunks_have_none() -> None:
    for name in ("content-length", "Content-Length"):
        for headers in ([(name, "9")], [("a", "b"), (name, "9")]):
            lines = [line for line in head(Response(200, headers, b"")) if "ength" in line]
            assert lines == [f"{name}: 9"]
    assert "transfer-encoding: chunked" in head(Response(200, [], b""), chunked=True)


def test_what_a_header_says_is_no_length() -> None:
    told = head(Response(200, [("a", "content-length: 9"), ("b", "content-length: 9")], b"four"))
    assert "content-length: 4" in told


def test_the_last_answer_says_so() -> None:
    assert head(Response(), keep_alive=False)[-1] == "connection: close"


def test_an_unheard_of_status_is_sent_all_the_same() -> None:
    assert head(Response(599))[0] == "HTTP/1.1 599 Unknown"


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb"])
def test_a_header_cannot_break_the_head(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        head(Response(200, [("x", value)]))


def test_lengths_and_bodies() -> None:
    assert body_length(Response(body=FileRange(Path("x"), 5, 10))) == 10
    assert has_no_body(200, "HEAD")
    assert has_no_body(204, "GET")
    assert has_no_body(304, "GET")
    assert not has_no_body(404, "GET")


def test_the_date_follows_the_clock() -> None:
    now = [0.0]
    heads = Heads("s", lambda: now[0])
    heads.head(Response(), keep_alive=True, chunked=False)
    now[0] = 86_400.5
    assert b"02 Jan 1970" in heads.head(Response(), keep_alive=True, chunked=False)
