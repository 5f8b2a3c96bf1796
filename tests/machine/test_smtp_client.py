"""Mails go to a real mail server, and what it says is what the sender hears."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from doppio.machine.smtp_client import Sent, SmtpClient

AT = datetime(2030, 1, 1, tzinfo=UTC)


class Server:
    """A mail server's memory; `answer` is what it says to the next reader's name."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.answer = "250 OK"
        self.port = 0

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append(cast("EmailMessage", mail))
        return "250 OK"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def mail_server() -> Iterator[Server]:
    """A mail server on loopback."""
    server = Server()
    server.port = free_port()
    controller = Controller(server, hostname="127.0.0.1", port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def send(port: int, **changed: str) -> Sent:
    """Send one mail."""
    mail = {
        "sender": "Shop <no-reply@shop.de>",
        "to": "ada@shop.de",
        "subject": "Käse",
        "body": "ß",
    }

    async def sent() -> Sent:
        client = SmtpClient("127.0.0.1", port)
        try:
            return await client.send(**{**mail, **changed}, seconds_max=5, at=AT)
        finally:
            client.close()

    return asyncio.run(sent())


def test_a_mail_arrives_as_it_was_meant() -> None:
    with mail_server() as server:
        assert send(server.port) == Sent(ok=True)
        (mail,) = server.mails
    assert (mail["Subject"], mail["To"]) == ("Käse", "ada@shop.de")
    assert mail.get_content().strip() == "ß"
    assert mail["Date"] == "Tue, 01 Jan 2030 00:00:00 +0000"


def test_a_server_that_refuses_for_good_is_told_from_one_that_is_busy_or_gone() -> None:
    with mail_server() as server:
        server.answer = "550 no such reader"
        assert send(server.port)[:2] == (False, True)
        server.answer = "450 come again"
        assert send(server.port)[:2] == (False, False)
        assert server.mails == []
    assert send(free_port())[:2] == (False, False)


def test_no_header_can_be_smuggled_in_by_a_subject() -> None:
    with mail_server() as server:
        assert send(server.port, subject="x\r\nBcc: all@shop.de")[:2] == (False, True)
        assert server.mails == []
