"""The record of calls: what CloudTrail will read, and what `doppio why` explains.

Rows of management calls that write ride in the operation's own commit. Rows of calls that only
read, and the usage they caused, are gathered in memory and written in a batch within a second: a
read must not cost an fsync, and a crash may lose at most that second of them. Data events are
recorded only where something asks for them, as in AWS. A denial is always kept, with its reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.kernel.records import Index, record, table_of
from doppio.kernel.store import Store, StoreClosed, StoreFull, StoreTx

if TYPE_CHECKING:
    from doppio.kernel.context import Context

_log = logging.getLogger("doppio.audit")
BATCH_SECONDS = 0.5
# As long as CloudTrail's event history.
KEPT = timedelta(days=90)
CALLS_A_READ = 1_000
GATHERED_MAX = 10_000
LOG = "audit"


class Call(msgspec.Struct, frozen=True, array_like=True):
    """One call, as recorded."""

    request_id: str
    at: datetime
    service: str
    operation: str
    account: str
    region: str
    caller: str
    access_key: str | None
    source_ip: str
    user_agent: str
    error: str | None = None
    read_only: bool = False


BY_TIME: Index[Denial] = Index("time", ("at",))


@record("kernel.denial", key=("request_id",), indexes=(BY_TIME,))
class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call was refused: what was asked, and each policy that was looked at."""

    request_id: str
    at: datetime
    account: str
    caller: str
    action: str
    resource: str
    message: str
    reason: str
    considered: list[str] = []
    context: dict[str, str] = {}


encode_call = msgspec.msgpack.Encoder().encode
decode_call = msgspec.msgpack.Decoder(Call).decode


def call_of(context: Context, *, error: str | None = None, read_only: bool = False) -> Call:
    """The audit row of a context's call."""
    caller = context.caller
    return Call(
        context.request_id, context.now, context.service, context.operation, context.account,
        context.region, caller.arn, caller.access_key, context.source_ip, context.user_agent,
        error, read_only,
    )  # fmt: skip


class Audit:
    """Writes the record of calls."""

    def __init__(
        self,
        store: Store,
        usage_key: Callable[[Context, str], bytes],
        is_data_event: Callable[[str, str], bool],
    ) -> None:
        self._store = store
        self._usage_key = usage_key
        self._is_data_event = is_data_event
        self._calls: list[bytes] = []
        self._usage: dict[bytes, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._flush: asyncio.Task[None] | None = None

    def ride(self, context: Context, tx: StoreTx) -> None:
        """Put the call's row into a commit of its own."""
        if context.audited or not context.operation:
            return
        context.audited = True
        if not self._is_data_event(context.service, context.operation):
            tx.append(LOG, encode_call(call_of(context)))
            if context.trail is not None:
                context.trail.ride(tx)

    def meter(self, context: Context, usage_type: str, amount: float) -> None:
        """Gather usage of a call that only reads."""
        key = self._usage_key(context, usage_type)
        self._usage[key] = self._usage.get(key, 0.0) + amount
        if self._timer is None:
            self._arm()

    def finished(self, context: Context, error: str | None) -> None:
        """Gather the row of a call that has ended without one of its own."""
        if context.audited or not context.operation:
            return
        context.audited = True
        if self._is_data_event(context.service, context.operation):
            return
        self._calls.append(encode_call(call_of(context, error=error, read_only=error is None)))
        if self._timer is None or len(self._calls) == GATHERED_MAX:
            self._arm()

    def denied(self, denial: Denial) -> None:
        """Keep why a call was refused."""
        table = table_of(Denial)
        key, found_by = table.key(denial), BY_TIME.row_key(denial, table.key(denial))
        assert found_by is not None
        tx = self._store.begin()
        tx.put(key, table.encode(denial))
        tx.put(found_by, key)
        self._spawn(tx)

    async def flush(self) -> None:
        """Write what has been gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._calls and not self._usage:
            return
        tx = self._store.begin()
        for entry in self._calls:
            tx.append(LOG, entry)
        for key, amount in self._usage.items():
            tx.add(key, amount)
        self._calls, self._usage = [], {}
        try:
            await tx.commit()
        except (StoreFull, StoreClosed) as error:
            _log.warning("audit rows and usage of reads were lost: %s", error)

    async def forget(self, context: Context) -> None:
        """Let go of what is older than `KEPT`; once a day is often enough."""
        before = context.now - KEPT
        view, position = self._store.view(), 0
        while entries := await view.log(LOG, position, limit=CALLS_A_READ):
            # Rows of reads come in a batch, a little after younger ones: up to the first that stays.
            old = list(takewhile(lambda one: decode_call(one[1]).at < before, entries))
            if old:
                position = old[-1][0]
            if len(old) < len(entries):
                break
        await self._store.trim_log(LOG, position)
        while denials := await context.read().find(BY_TIME, until=before, limit=CALLS_A_READ):
            async with context.write() as tx:
                for denial in denials:
                    found = await tx.get(Denial, denial.request_id)
                    if found is not None:
                        tx.delete(found)

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        if len(self._calls) >= GATHERED_MAX and self._timer is not None:
            self._timer.cancel()
            self._timer = loop.call_soon(self._due)  # type: ignore[assignment]
        else:
            self._timer = loop.call_later(BATCH_SECONDS, self._due)

    def _due(self) -> None:
        self._timer = None
        self._flush = asyncio.get_running_loop().create_task(self.flush())

    def _spawn(self, tx: StoreTx) -> None:
        async def commit() -> None:
            try:
                await tx.commit()
            except (StoreFull, StoreClosed) as error:
                _log.warning("a denial was not kept: %s", error)

        task = asyncio.get_running_loop().create_task(commit())
        self._pending: Any = task
