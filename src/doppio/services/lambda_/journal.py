"""What an execution environment writes, into its stream of CloudWatch Logs, as the function's role.

A line is an event; a carriage return within one is a line break of the same event. What is written
goes to CloudWatch Logs behind the answer, in batches, one after the other; a role that may not write
there loses it, as on AWS, and so does a cloud that is killed within the moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.store import StoreClosed, StoreFull
from doppio.services.lambda_ import limits
from doppio.services.lambda_.running import Spec
from doppio.wire.errors import AwsError
from doppio.wire.json_write import dumps
from doppio.wire.timestamps import format_iso8601_millis

_log = logging.getLogger("doppio.lambda")


class Journal:
    """One stream."""

    def __init__(self, ctx: Context, spec: Spec, stream: str) -> None:
        self._ctx = ctx
        self._spec = spec
        self.stream = stream
        self._unended = b""
        self._waiting: list[tuple[int, str]] = []
        self._tail: list[bytes] = []
        self._tail_bytes = 0
        self._sending: asyncio.Task[None] | None = None
        self._held_bytes = 0
        self._timed = False

    def heard(self, data: bytes) -> None:
        """The function has written something."""
        *lines, self._unended = (self._unended + data).split(b"\n")
        for line in lines:
            self._add(line.replace(b"\r", b"\n").decode(errors="replace"))
        if len(self._unended) > limits.LOG_LINE_BYTES_MAX:
            self.end_line()

    def end_line(self) -> None:
        """What was written without a line's end is a line, now that no more will come."""
        line, self._unended = self._unended, b""
        if line:
            self._add(line.replace(b"\r", b"\n").decode(errors="replace"))

    def say(self, text: str, kind: str, record: Mapping[str, Any]) -> None:
        """A line of Lambda's own: as text, or as JSON of a kind where the function logs that."""
        if self._spec.log_format == "JSON":
            if self._spec.system_log_level == "WARN":
                return
            said = {
                "time": format_iso8601_millis(self._ctx.clock.now()),
                "type": kind,
                "record": record,
            }
            text = dumps(said).decode()
        self._add(text)

    def begin(self) -> None:
        """An invocation begins: the tail is of what comes now."""
        self._tail.clear()
        self._tail_bytes = 0

    @property
    def tail(self) -> bytes:
        """The end of what was written in this invocation."""
        return b"".join(self._tail)[-limits.LOG_TAIL_BYTES :]

    def send(self) -> None:
        """Send what there is, without waiting for it."""
        if self._waiting and (self._sending is None or self._sending.done()):
            self._sending = asyncio.create_task(self._send_all())

    def _add(self, text: str) -> None:
        if not text:
            return
        line = text.encode() + b"\n"
        if self._held_bytes + len(line) <= limits.LOG_HELD_BYTES_MAX:
            self._waiting.append((int(self._ctx.clock.seconds() * 1000), text))
            self._held_bytes += len(line)
        if self._held_bytes >= limits.LOG_BATCH_BYTES:
            self.send()
        elif not self._timed:
            self._timed = True
            self._ctx.clock.host.call_later(limits.LOG_SECONDS, self._send_in_time)
        self._tail.append(line)
        self._tail_bytes += len(line)
        while self._tail_bytes - len(self._tail[0]) > limits.LOG_TAIL_BYTES:
            self._tail_bytes -= len(self._tail.pop(0))

    def _send_in_time(self) -> None:
        self._timed = False
        self.send()

    async def _send_all(self) -> None:
        while self._waiting:
            some = self._batch()
            try:
                await self._put(some)
            except (AwsError, StoreFull, StoreClosed) as error:
                _log.debug("what %s logged is lost: %s", self._spec.arn, error)

    def _batch(self) -> list[tuple[int, str]]:
        """What goes in one call, taken from what waits."""
        size = count = 0
        for _, text in self._waiting[: limits.LOG_BATCH_EVENTS]:
            weight = len(text.encode())
            if count and size + weight + limits.LOG_OVERHEAD_BYTES > limits.LOG_BATCH_BYTES:
                break
            size += weight + limits.LOG_OVERHEAD_BYTES
            self._held_bytes -= weight + 1
            count += 1
        some, self._waiting = self._waiting[:count], self._waiting[count:]
        return some

    async def _put(self, lines: list[tuple[int, str]]) -> None:
        spec = self._spec
        acting = await self._ctx.as_role(
            spec.role, "lambda", source=function_arn(spec), session=spec.name, region=spec.region
        )
        place = {"logGroupName": spec.log_group, "logStreamName": self.stream}
        most = limits.LOG_LINE_BYTES_MAX
        # A clock that was set back must not lose what comes after.
        ordered = sorted(lines, key=lambda line: line[0])
        events = [{"timestamp": at, "message": _bounded(text, most)} for at, text in ordered]
        request = {**place, "logEvents": events}
        try:
            await acting.call("logs", "put_log_events", request)
        except AwsError as error:
            if error.code != "ResourceNotFoundException":
                raise
            await _make(acting, "create_log_group", {"logGroupName": spec.log_group})
            await _make(acting, "create_log_stream", place)
            await acting.call("logs", "put_log_events", request)


async def _make(ctx: Context, operation: str, req: dict[str, str]) -> None:
    try:
        await ctx.call("logs", operation, req)
    except AwsError as error:
        # A role that may not make a group may still write to one that is there.
        if error.code not in {"ResourceAlreadyExistsException", "AccessDeniedException"}:
            raise


def function_arn(spec: Spec) -> str:
    """The ARN of a version's function, for which its role is taken on."""
    return spec.arn.rpartition(":")[0]


def _bounded(text: str, most: int) -> str:
    return text if len(text) * 4 <= most else text.encode()[:most].decode(errors="ignore")
