"""Mails to a mail server outside this cloud, by SMTP, in worker threads."""

from __future__ import annotations

import asyncio
import smtplib
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import NamedTuple

THREADS_MAX = 8


class Sent(NamedTuple):
    """What the mail server said; `final`: it will never take this mail."""

    ok: bool
    final: bool = False
    error: str = ""


class SmtpClient:
    """Hands mails to one server; with STARTTLS where it offers that."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="smtp client")

    async def send(
        self, *, sender: str, to: str, subject: str, body: str, seconds_max: float, at: datetime
    ) -> Sent:
        """One mail to one reader; never raises for what the other side does."""
        mail = EmailMessage()
        try:
            mail["From"], mail["To"], mail["Subject"] = sender, to, subject
        except ValueError as error:
            return Sent(ok=False, final=True, error=str(error))
        mail["Date"] = format_datetime(at)
        mail["Message-ID"] = make_msgid(domain="sns.amazonaws.com")
        mail.set_content(body)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._send, mail, seconds_max
        )

    def close(self) -> None:
        """Let go of the threads; a conversation under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, mail: EmailMessage, seconds_max: float) -> Sent:
        host, port = self._address
        try:
            with smtplib.SMTP(host, port, timeout=seconds_max) as server:
                server.ehlo()
                if server.has_extn("starttls"):
                    server.starttls()
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            return Sent(ok=False, final=all(code >= 500 for code in codes), error=str(error))
        except smtplib.SMTPResponseException as error:
            return Sent(ok=False, final=error.smtp_code >= 500, error=str(error))
        except (smtplib.SMTPException, OSError) as error:
            return Sent(ok=False, error=str(error))
        return Sent(ok=True)
