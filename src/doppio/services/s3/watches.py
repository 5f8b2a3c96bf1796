"""Which buckets somebody watches: those that keep a log, count requests or are analysed.

A mark in the store names each of them, so that all are found at once; what is found is a hint in
memory, until a mark comes or goes. So requests to other buckets cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qs

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.kernel import Kernel
from doppio.kernel.paging import every
from doppio.kernel.witness import Exchange
from doppio.services.s3.lookup import bucket_id, numbered
from doppio.services.s3.records import Bucket, Current, Version
from doppio.services.s3.request_metrics_rules import Filter, filter_of
from doppio.services.s3.settings import settings
from doppio.wire.errors import AwsError

_A_STEP = 500


class Mark(Protocol):
    """A record that a bucket is watched."""

    def __init__(self, *, bucket: str, name: str) -> None: ...

    @property
    def bucket(self) -> str: ...

    @property
    def name(self) -> str: ...


W = TypeVar("W")


class Cause(NamedTuple):
    """Why buckets are watched: the kind of their setting, what rings when one changes, and the mark."""

    kind: str
    topic: str
    mark: type[Mark]

    def begin(self, tx: Tx, bucket: Bucket) -> None:
        """Watch a bucket, or look anew at what is wanted of it."""
        tx.put(self.mark(bucket=bucket.id, name=bucket.name))
        tx.wake(self.topic)

    def end(self, tx: Tx, bucket: Bucket, *, left: bool = False) -> None:
        """Watch a bucket no more, or less where something is `left`."""
        if not left:
            tx.delete(self.mark(bucket=bucket.id, name=bucket.name))
        tx.wake(self.topic)

    def forget(self, tx: Tx, bucket: Bucket) -> None:
        """A bucket goes; it is as it was when it had its setting."""
        if self.kind in bucket.kinds:
            self.end(tx, bucket)


class Watch(Generic[W]):
    """What one process knows of the buckets that are watched for a cause: `wanted` of each.

    The answer of `wanted` is None where the bucket is gone.
    """

    def __init__(
        self, kernel: Kernel, cause: Cause, wanted: Callable[[Reader, Mark], Awaitable[W | None]]
    ) -> None:
        self.watched: frozenset[str] | None = None
        self._kernel = kernel
        self._cause = cause
        self._wanted = wanted
        self._changes = 0
        self._buckets: dict[str, W] = {}
        self._at_work: set[asyncio.Task[None]] = set()
        kernel.wakers.on(cause.topic, self._heard)

    def _heard(self, topic: str) -> None:
        self._changes += 1
        self.watched = None

    async def look(self, ctx: Context) -> None:
        """Find out which buckets are watched; what changes meanwhile makes for another look."""
        changes, reader = self._changes, ctx.read()
        names, found = set[str](), dict[str, W]()
        async for mark in every(reader, self._cause.mark, step=_A_STEP):
            wanted = await self._wanted(reader, mark)
            if wanted is not None:
                names.add(mark.name)
                found[mark.bucket] = wanted
        if changes == self._changes:
            self.watched, self._buckets = frozenset(names), found

    def _of(self, ctx: Context, exchange: Exchange) -> W | None:
        """What is wanted of the bucket that an exchange was about."""
        return self._buckets.get(bucket_id(ctx, exchange.labels["Bucket"]))

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that must not hold up the answer."""
        task = asyncio.ensure_future(work)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    async def _finish(self) -> None:
        """Wait for what is at work."""
        await asyncio.gather(*self._at_work, return_exceptions=True)


class Filtered(NamedTuple):
    """A bucket, and which of its requests are wanted: filters by the id of their configuration."""

    bucket: Bucket
    filters: list[tuple[str, Filter]]


def filtered(
    kind: str, has: Callable[[Mapping[str, Any]], object] = bool
) -> Callable[[Reader, Mark], Awaitable[Filtered | None]]:
    """The filters of a bucket's configurations of a kind, those that `has` something to be watched."""

    async def wanted(reader: Reader, mark: Mark) -> Filtered | None:
        bucket = await reader.get(Bucket, mark.bucket)
        if bucket is None:
            return None
        there = [one for one in await settings(reader, bucket, kind) if has(one.document)]
        return Filtered(bucket, [(one.id, filter_of(one.document)) for one in there])

    return wanted


async def version_meant(ctx: Context, bucket: Bucket, exchange: Exchange) -> Version | None:
    """The version of an object that a request was about, as it is after it."""
    reader = ctx.read()
    key = exchange.labels["Key"]
    current = await reader.get(Current, bucket.id, key)
    wanted = parse_qs(exchange.request.query).get("versionId", [""])[0]
    if not wanted:
        return current
    try:
        return await numbered(reader, bucket, key, wanted, current)
    except AwsError:
        return None
