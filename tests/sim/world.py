"""A world: the real cloud on a simulated clock and disk, and everything that may go wrong.

All chance comes from the seed, so a seed tells the same story each time. Clients live beside the
cloud: when it crashes, their calls are lost, and they go on with the next one.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from doppio.app import Cloud, Settings
from doppio.kernel.clock import SimulatedClock
from doppio.kernel.identity import Caller, root_of
from doppio.wire.errors import AwsError, ServiceUnavailable, Throttled
from doppio.wire.http import FileRange, Whole

from .disk import Faults, SimulatedBlobs, SimulatedStore
from .loop import SimulatedLoop

T = TypeVar("T")
ACCOUNT = "000000000000"
REGION = "us-east-1"
START = datetime(2030, 1, 1, tzinfo=UTC)
CRASHES_MAX = 6
# What is not over after so much simulated time hangs.
STORY_SECONDS_MAX = 3_600


class Lost(Exception):
    """The cloud crashed during a call: it was carried out, or it was not."""


class Refused(Exception):
    """The cloud could not do it now, and nothing was changed."""


class Workload(Protocol):
    """One claim about a cloud."""

    async def setup(self, world: World) -> None:
        """Make what is needed; nothing goes wrong yet."""

    async def act(self, world: World) -> None:
        """Work while things go wrong."""

    async def check(self, world: World) -> None:
        """The claim; nothing goes wrong any more."""


class World:
    """One story."""

    def __init__(
        self, seed: int, folder: Path, clock: SimulatedClock, disk: type[SimulatedStore]
    ) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.clock = clock
        self._kind = disk
        self.history: list[str] = []
        self.crashes = 0
        self._folder = folder
        self._disk: dict[bytes, bytes] = {}
        self._blobs = SimulatedBlobs(folder / "blobs-0")
        self._calls: set[asyncio.Future[Any]] = set()
        self._up = asyncio.Event()
        self._down: asyncio.Future[None]
        self._restarts: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._faulty = False
        self.cloud: Cloud
        self._store: SimulatedStore

    # The story.

    async def live(self, workloads: Sequence[Workload]) -> None:
        """Set up, act with faults, check without."""
        async with asyncio.timeout(STORY_SECONDS_MAX):
            await self._start()
            for workload in workloads:
                await workload.setup(self)
            await self._act(workloads)
            await self._up.wait()
            self._store.faults = None
            for workload in workloads:
                await workload.check(self)
        assert not self._errors, self._errors
        await self.cloud.close()

    async def _act(self, workloads: Sequence[Workload]) -> None:
        self._faulty = True
        self._store.arm(Faults(self.random))
        chaos = asyncio.create_task(self._chaos())
        try:
            async with asyncio.TaskGroup() as group:
                for workload in workloads:
                    group.create_task(workload.act(self))
        finally:
            chaos.cancel()
            self._faulty = False

    def say(self, text: str) -> None:
        """Add a line to the history."""
        self.history.append(f"{self.clock.seconds() - START.timestamp():12.6f} {text}")

    async def _chaos(self) -> None:
        """Now and then, cloud time jumps."""
        while True:
            await asyncio.sleep(self.random.uniform(1.0, 30.0))
            by = timedelta(seconds=self.random.choice((1, 31, 600, 7_200)))
            self.say(f"cloud time jumps by {by}")
            try:
                await self._within(self.cloud.set_clock(self.cloud.clock.advanced(by)))
            except (Lost, AwsError):
                self.say("nobody knows whether it jumped")

    # The cloud's lives.

    async def _start(self) -> None:
        faults = Faults(self.random) if self._faulty and self.crashes < CRASHES_MAX else None
        self._store = self._kind(self._disk, faults, self._crash)
        settings = Settings(
            data=self._folder / f"data-{self.crashes}",
            seed=self.random.getrandbits(64),
            host_clock=self.clock,
        )
        self._down = asyncio.get_running_loop().create_future()
        self.cloud = Cloud(settings, self._store)
        self.cloud.blobs = self._blobs
        await self.cloud.start()
        self._up.set()
        self.say("the cloud is up")

    def _crash(self) -> None:
        kept = self._store.faults is not None and self._store.faults.keeps_last
        self.say(f"crash {'behind' if kept else 'before'} commit {self._store.groups}")
        self.crashes += 1
        self._blobs = self._blobs.survive(self._folder / f"blobs-{self.crashes}")
        self._up.clear()
        self._down.set_result(None)
        task = asyncio.get_running_loop().create_task(self._restart(self.cloud))
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _restart(self, old: Cloud) -> None:
        try:
            for task in list(self._calls):
                task.cancel()
            await old.close()
            await asyncio.sleep(self.random.uniform(0.01, 2.0))
            await self._start_surely()
        except BaseException as error:
            self._errors.append(error)
            self._up.set()
            raise

    async def _start_surely(self) -> None:
        crashes = self.crashes
        try:
            await self._start()
        except Exception:
            # It crashed while it started, and the next start is under way.
            if self.crashes == crashes:
                raise

    # Calls.

    async def call(
        self, service: str, method: str, /, *, caller: Caller | None = None, **req: Any
    ) -> Any:
        """One call. Raises Lost, Refused, or the AwsError of the answer."""
        if not self._up.is_set():
            raise Lost
        if isinstance(req.get("Body"), bytes):
            req["Body"] = Whole(req["Body"])
        try:
            return await self._within(self._enter(service, method, caller, req))
        except (ServiceUnavailable, Throttled) as error:
            raise Refused(str(error)) from error

    async def caller(self, access_key: str) -> Caller:
        """Whom the cloud takes the holder of a key for. Raises Lost."""
        if not self._up.is_set():
            raise Lost
        found = await self._within(self.cloud.identities.credential(access_key, None))
        return found.caller

    async def surely(
        self, service: str, method: str, /, *, caller: Caller | None = None, **req: Any
    ) -> Any:
        """A call that may be made twice, made until it is answered."""
        return await self.until_answered(lambda: self.call(service, method, caller=caller, **req))

    async def until_answered(self, call: Callable[[], Awaitable[T]]) -> T:
        """The first answer."""
        while True:
            try:
                return await call()
            except (Lost, Refused):
                await asyncio.sleep(self.random.uniform(0.1, 1.0))
                await self._up.wait()
                assert not self._errors, self._errors

    async def _enter(
        self, service: str, method: str, caller: Caller | None, req: dict[str, Any]
    ) -> Any:
        who = caller or root_of(ACCOUNT)
        cloud = self.cloud
        context = cloud.context(
            who, account=who.account, region=REGION, request_id=cloud.ids.request_id()
        )
        result = await cloud.enter(context, service, method, req)
        if isinstance(result, dict) and "Body" in result:
            result["Body"] = await _content(result["Body"])
        return result

    async def _within(self, work: Awaitable[T]) -> T:
        """Something that the cloud does, which a crash ends."""
        down: asyncio.Future[Any] = self._down
        task: asyncio.Future[T] = asyncio.ensure_future(work)
        self._calls.add(task)
        try:
            both: set[asyncio.Future[Any]] = {task, down}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._calls.discard(task)
            if not task.done():
                task.cancel()
        if down.done():
            task.add_done_callback(_looked_at)
            raise Lost
        return task.result()


def tell(
    seed: int, workloads: Sequence[Workload], disk: type[SimulatedStore] = SimulatedStore
) -> World:
    """Live through a world; the one it was. A failure carries its seed and its history."""
    with tempfile.TemporaryDirectory(prefix="doppio-sim-") as folder:
        world: World | None = None
        clock = SimulatedClock(START)
        loop = SimulatedLoop(clock, random.Random(seed + 1))
        try:
            asyncio.set_event_loop(loop)
            world = World(seed, Path(folder), clock, disk)
            loop.run_until_complete(world.live(workloads))
        except BaseException as error:
            shown = "\n".join(world.history[-30:]) if world else ""
            error.add_note(f"seed {seed}; `python -m tests.sim {seed}` tells it again\n{shown}")
            raise
        finally:
            quieten(loop)
        return world


def quieten(loop: asyncio.AbstractEventLoop) -> None:
    """End what is left of a story that was cut short."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()


def _looked_at(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()


async def _content(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, FileRange):
        with body.path.open("rb") as file:
            file.seek(body.offset)
            return file.read(body.length)
    return b"".join([bytes(chunk) async for chunk in body])
