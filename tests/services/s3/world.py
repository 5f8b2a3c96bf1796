"""A small cloud for S3's tests: the real door, clock and jobs over a store in memory."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from doppio.kernel.audit import Audit
from doppio.kernel.authorise import Authoriser
from doppio.kernel.blobs import Blobs
from doppio.kernel.clock import Clock, MachineClock
from doppio.kernel.context import Context
from doppio.kernel.door import Door
from doppio.kernel.guardrails import Guardrails
from doppio.kernel.identity import Caller, root_of, service_caller
from doppio.kernel.ids import Ids
from doppio.kernel.jobs import JobRunner
from doppio.kernel.leases import Leases
from doppio.kernel.memory_store import MemoryStore
from doppio.kernel.meter import usage, usage_key
from doppio.kernel.metrics import Metrics
from doppio.kernel.service import Need
from doppio.kernel.store import Store
from doppio.kernel.tag_rules import TagKeeper
from doppio.kernel.trail import Trails
from doppio.kernel.uses import Uses
from doppio.kernel.wakers import Wakers
from doppio.services.s3.service import SERVICE
from doppio.wire.errors import AwsError
from doppio.wire.http import FileRange, Whole

ACCOUNT = "000000000000"
OTHER = "111111111111"


class World:
    """One cloud with S3 alone in it."""

    def __init__(self, folder: Path, store: MemoryStore | None = None) -> None:
        self.memory = MemoryStore() if store is None else store
        self.store: Store = self.memory
        self.clock = Clock(MachineClock())
        self.ids = Ids(7)
        self.wakers = Wakers()
        self.machine: Any = None
        self.identities: Any = None
        self.endpoint = "http://localhost:4566"
        self.blobs = Blobs(folder / "blobs", sync=False)
        self.audit = Audit(self.store, usage_key, lambda service, name: name in SERVICE.data_events)
        self.metrics = Metrics(self.context_for, lambda service: None)
        self.uses = Uses(lambda: self.context_for("", ""))
        self.guardrails = Guardrails()
        self.authoriser = Authoriser(self.guardrails)
        self.own_ciphers: dict[str, Any] = {}
        trails = Trails(self.store, self.context_for)
        self.door = Door({"s3": SERVICE}, self.authoriser, trails, TagKeeper())
        self.jobs = JobRunner(self, SERVICE.jobs.get, self.context_for)

    async def start(self) -> None:
        self.store.listen(self.wakers.ring)
        self.wakers.on("resource", self.authoriser.heard)
        self.jobs.start(Leases(self, self.context_for, lambda service: None))

    async def close(self) -> None:
        await self.jobs.close()
        await self.audit.flush()
        await self.uses.close()
        await self.store.close()

    async def enter(
        self, context: Context, service: str, method: str, req: Mapping[str, Any]
    ) -> Any:
        return await self.door.enter(context, service, method, req)

    async def authorise(self, context: Context, need: Need) -> None:
        await self.authoriser.check(context, [need])

    def context_for(self, account: str, region: str) -> Context:
        caller = service_caller("doppio", account)
        return Context(self, caller, account=account, region=region, request_id=self.ids.uuid())

    def context(self, caller: Caller, region: str = "us-east-1") -> Context:
        return Context(
            self, caller, account=caller.account, region=region, request_id=self.ids.uuid()
        )

    async def s3(
        self,
        method: str,
        *,
        region: str = "us-east-1",
        caller: Caller | None = None,
        **req: Any,
    ) -> Any:
        """Call an operation as the account's root, or as `caller`; bodies may be bytes."""
        if isinstance(req.get("Body"), bytes):
            req["Body"] = Whole(req["Body"])
        return await self.door.enter(
            self.context(caller or root_of(ACCOUNT), region), "s3", method, req
        )

    def body(self, body: bytes | Chunks) -> Whole | Chunks:
        """A body as the gateway gives it."""
        return Whole(body) if isinstance(body, bytes) else body

    async def bucket(self, name: str = "bucket", versioning: str | None = None) -> str:
        """Create a bucket."""
        await self.s3("create_bucket", Bucket=name)
        if versioning is not None:
            await self.version(name, versioning)
        return name

    async def version(self, bucket: str, status: str) -> None:
        """Set a bucket's versioning."""
        await self.s3(
            "put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": status}
        )

    async def put(self, key: str, body: bytes = b"", bucket: str = "bucket", **req: Any) -> Any:
        """PutObject."""
        return await self.s3("put_object", Bucket=bucket, Key=key, Body=body, **req)

    async def get(self, key: str, bucket: str = "bucket", **req: Any) -> bytes:
        """The bytes of GetObject's answer."""
        return await content((await self.s3("get_object", Bucket=bucket, Key=key, **req))["Body"])

    async def advance(self, by: timedelta) -> None:
        """Move cloud time, and let the jobs that come due run."""
        self.clock.set(self.clock.advanced(by))
        await self.settle()

    async def settle(self) -> None:
        """Let background work finish."""
        for _ in range(50):
            await asyncio.sleep(0.002)

    def files(self) -> set[str]:
        """The blobs that are on disk."""
        return set(self.blobs.ids())

    async def used(self, usage_type: str) -> float:
        """How much the account has used of something."""
        await self.audit.flush()
        rows = await usage(self.store.view(), ACCOUNT, limit=100)
        return sum(row.amount for row in rows if row.usage_type == usage_type)


class Chunks:
    """A body that arrives piece by piece, with trailers behind it."""

    def __init__(
        self,
        chunks: list[bytes],
        *,
        length: int | None = -1,
        trailers: dict[str, str] | None = None,
    ) -> None:
        self.length = sum(map(len, chunks)) if length == -1 else length
        self.whole: bytes | None = None
        self.trailer_names = tuple(trailers or {})
        self.trailers: dict[str, str] = {}
        self._chunks = chunks
        self._coming = trailers or {}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            await asyncio.sleep(0)
            yield chunk
        self.trailers = self._coming


async def content(body: bytes | FileRange | AsyncIterator[bytes]) -> bytes:
    """A result's body as bytes, whichever form it has."""
    if isinstance(body, bytes):
        return body
    if isinstance(body, FileRange):
        with body.path.open("rb") as file:
            file.seek(body.offset)
            return file.read(body.length)
    return b"".join([bytes(chunk) async for chunk in body])


async def refused(call: Awaitable[Any]) -> AwsError:
    """The error with which a call is refused."""
    try:
        result = await call
    except AwsError as error:
        return error
    raise AssertionError(f"not refused, but answered {result!r}")


def run(story: Callable[[World], Awaitable[None]]) -> None:
    """Tell a story in a world of its own."""

    async def told() -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder))
            await world.start()
            try:
                await story(world)
            finally:
                await world.close()

    asyncio.run(told())


def told(story: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    """A test that tells a story."""

    def test() -> None:
        run(story)

    test.__name__ = story.__name__
    test.__doc__ = story.__doc__
    return test
