"""The heads of standard queues: which messages come next, looked up many at a time.

Finding out what is due means reading a range, of which a transaction that takes a message must
depend on nothing: whoever reads ahead and then each message by its key pays for the range once in
a hundred messages, and two receivers only get in each other's way where they want the same one.

What stands in the line is a hint: a message that was taken or deleted meanwhile is passed over, and
nothing that is due is missed, for what comes later than the look ahead becomes visible later, too.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from doppio.kernel.context import Context, Tx
from doppio.kernel.keys import pack
from doppio.kernel.records import table_of
from doppio.services.sqs.access import line_of
from doppio.services.sqs.records import Message, Queue

# So far a look goes ahead, and of so many queues what it found is remembered.
AHEAD_MESSAGES = 64
QUEUES_MAX = 1_000
Standing = list[tuple[bytes, Message]]
_decode = table_of(Message).decode


class Heads:
    """The row keys of the messages that come next, by queue."""

    def __init__(self) -> None:
        self._lines: WeakKeyDictionary[Any, dict[str, deque[bytes]]] = WeakKeyDictionary()

    async def due(self, ctx: Context, tx: Tx, queue: Queue, now: datetime, count: int) -> Standing:
        """Up to `count` messages that are visible, in order; nobody else is given them meanwhile."""
        lines = self._lines.get(ctx.kernel)
        if lines is None:
            lines = self._lines[ctx.kernel] = {}
        after = line_of(queue.id)
        until = after + pack(now) + b"\xff"
        found: Standing = []
        line = lines.get(queue.id)
        while True:
            while line and len(found) < count:
                key = line.popleft()
                if key >= until:
                    # The clock was set back.
                    line.clear()
                    break
                value = await tx.raw.get(key)
                if value is not None:
                    found.append((key, _decode(value)))
                    after = key + b"\0"
            if len(found) == count or after >= until:
                return found
            # Of what is durable: what was sent but is not on disk yet will ring when it is.
            keys = await ctx.read().raw.ahead(after, until, limit=AHEAD_MESSAGES)
            after = keys[-1] + b"\0" if len(keys) == AHEAD_MESSAGES else until
            line = deque(keys)
            if len(lines) >= QUEUES_MAX:
                lines.clear()
            lines[queue.id] = line

    def put_back(self, ctx: Context, queue: Queue, rows: list[bytes]) -> None:
        """These were not handed out after all: they come first."""
        line = self._lines[ctx.kernel].get(queue.id)
        if line is not None:
            line.extendleft(reversed(rows))
