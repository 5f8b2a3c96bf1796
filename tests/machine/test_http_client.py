"""Requests to servers outside: what they say, or why they said nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from doppio.machine.http_client import Answer, HttpClient
from tests.outside import Asked, Said, serving


def answer(asked: Asked) -> Said:
    """What the path says."""
    status = int(asked.path.strip("/") or 200)
    told = asked.body + b"|" + asked.headers.get("authorization", "").encode()
    return Said(told, status, {"location": "/200"} if status == 302 else {})


@pytest.fixture
def port() -> Iterator[int]:
    with serving(answer) as port:
        yield port


def post(url: str, seconds_max: float = 5.0, outside: dict[str, str] | None = None) -> Answer:
    """One request."""

    async def send() -> Answer:
        client = HttpClient(outside)
        try:
            return await client.send(
                "POST", url, headers={"x-a": "b"}, body=b"hello", seconds_max=seconds_max
            )
        finally:
            client.close()

    return asyncio.run(send())


def test_an_answer_has_status_and_body(port: int) -> None:
    assert post(f"http://127.0.0.1:{port}/201") == Answer(201, b"hello|")
    assert not post(f"http://127.0.0.1:{port}/500").ok


def test_a_redirect_is_not_followed(port: int) -> None:
    assert post(f"http://127.0.0.1:{port}/302").status == 302


def test_name_and_password_of_the_url_are_sent(port: int) -> None:
    assert b"|Basic bWU6c2VjcmV0" in post(f"http://me:secret@127.0.0.1:{port}/200").body


def test_where_nobody_listens_the_answer_says_why() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answer = post(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert answer.status == 0
    assert "refused" in answer.error


def test_who_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        answer = post(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds_max=0.2)
    assert (answer.status, answer.ok) == (0, False)


def test_a_host_may_really_be_elsewhere(port: int) -> None:
    there = {"subscriber.example": f"http://127.0.0.1:{port}/"}
    assert post("https://subscriber.example/201", outside=there) == Answer(201, b"hello|")
    assert post("https://other.invalid/201", outside=there).status == 0
