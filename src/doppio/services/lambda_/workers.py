"""Execution environments: started when they are needed, used again while they are warm, and ended.

One environment serves one invocation at a time, so that there are as many as there are invocations at
once. It stands still in between, and goes when it was idle for long, when its function has changed, or
when its role's session nears its end. What is known of them is of this process alone, as they are: a
cloud that starts again starts with none.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from doppio.kernel.context import Context
from doppio.kernel.quotas import quota
from doppio.machine.environments import Environments
from doppio.machine.guest import Guest, Reply
from doppio.services.lambda_ import limits, runtimes
from doppio.services.lambda_.errors import ServiceException, TooManyRequests
from doppio.services.lambda_.journal import Journal, function_arn
from doppio.services.lambda_.records import Holdings
from doppio.services.lambda_.running import Spec
from doppio.services.lambda_.specs import Target, revision_of, spec_of
from doppio.wire.errors import AccessDenied, AwsError

_log = logging.getLogger("doppio.lambda")
_all: WeakKeyDictionary[Any, Workers] = WeakKeyDictionary()
Key = tuple[str, str, str, str]


class Worker:
    """One environment."""

    def __init__(self, spec: Spec, guest: Guest, journal: Journal, good_until: datetime) -> None:
        self.spec = spec
        self.guest = guest
        self.journal = journal
        self.good_until = good_until
        # How long its start took, until the first invocation has told of it.
        self.init_ms: float | None = None
        self.gone = False
        self.forget: Callable[[], None] = lambda: None

    def kill(self) -> None:
        """End it."""
        self.gone = True
        self.forget()
        self.guest.kill()


class Started(NamedTuple):
    """An environment for an invocation; `failed` is why it cannot serve it."""

    worker: Worker
    failed: Reply | None = None


class Workers:
    """The environments of one cloud."""

    def __init__(self) -> None:
        self._idle: defaultdict[Key, list[Worker]] = defaultdict(list)
        self._busy: Counter[tuple[str, str, str]] = Counter()
        self._unreserved: Counter[tuple[str, str]] = Counter()

    @staticmethod
    def of(ctx: Context) -> Workers:
        """The environments of the cloud in which this is asked."""
        found = _all.get(ctx.kernel)
        if found is None:
            found = _all[ctx.kernel] = Workers()
        return found

    async def spec_of(self, ctx: Context, target: Target) -> Spec:
        """What it takes to run a version; nothing is looked for where an environment is warm."""
        function, version = target.function, target.version
        place = (version.account, version.region, version.function, version.name)
        revision = revision_of(function, version)
        for worker in self._idle.get(place, ()):
            if worker.spec.revision == revision:
                return replace(worker.spec, reserved=function.reserved)
        return await spec_of(ctx, function, version)

    async def check_room(self, ctx: Context, spec: Spec) -> None:
        """Raise TooManyRequestsException if a function may not run once more just now."""
        place = (spec.account, spec.region)
        if spec.reserved is not None:
            if self._busy[(*place, spec.name)] >= spec.reserved:
                raise TooManyRequests(Reason="ReservedFunctionConcurrentInvocationLimitExceeded")
            return
        unreserved = self._unreserved[place]
        # So many are always left to functions without a reservation: nothing need be read.
        if unreserved >= limits.UNRESERVED_EXECUTIONS_MIN:
            most = await _unreserved_max(ctx, *place)
            if self._unreserved[place] >= most:
                raise TooManyRequests(Reason="ConcurrentInvocationLimitExceeded")

    @contextmanager
    def counted(self, spec: Spec) -> Iterator[int]:
        """Count an invocation that is under way; how many of the function are."""
        function = (spec.account, spec.region, spec.name)
        self._busy[function] += 1
        if spec.reserved is None:
            self._unreserved[function[:2]] += 1
        try:
            yield self._busy[function]
        finally:
            _less(self._busy, function)
            if spec.reserved is None:
                _less(self._unreserved, function[:2])

    async def take(self, ctx: Context, spec: Spec) -> Started:
        """An environment of a version, warm if there is one. Raises AwsError."""
        key = _key(spec)
        warm = self._idle.get(key, [])
        while warm:
            worker = warm.pop()
            worker.forget()
            if worker.gone:
                continue
            if self._is_good(ctx, worker, spec):
                worker.guest.wake()
                return Started(worker)
            worker.kill()
        self._idle.pop(key, None)
        return await self.start(ctx, spec, limits.INIT_SECONDS)

    async def start(self, ctx: Context, spec: Spec, seconds_max: float) -> Started:
        """Start an environment, and wait until it is ready for an event."""
        environments: Environments = ctx.machine.environments
        loop = asyncio.get_running_loop()
        now = ctx.clock.now()
        how = await loop.run_in_executor(None, runtimes.prepared, spec)
        credentials = await _session(ctx, spec)
        stream = f"{now:%Y/%m/%d}/[{spec.version}]{ctx.new_id('hex32')}"
        guest = Guest(environments, limits.RESPONSE_BYTES_MAX)
        await guest.open()
        journal = Journal(ctx, spec, stream)
        worker = Worker(spec, guest, journal, credentials["Expiration"])
        guest.heard = journal.heard
        guest.ended = lambda: setattr(worker, "gone", True)
        journal.say(
            f"INIT_START Runtime Version: {how.said}",
            "platform.initStart",
            {"initializationType": "on-demand", "phase": "init", "runtimeVersion": how.said},
        )
        try:
            plan = await loop.run_in_executor(
                None, runtimes.plan, environments, f"lambda-{ctx.new_id('hex16')}", spec, how,
                _here(ctx), credentials, guest.api.port, stream,
            )  # fmt: skip
            reply = await guest.start(plan, seconds_max)
        except OSError as error:
            worker.kill()
            _log.warning("no environment for %s: %s", spec.arn, error)
            raise ServiceException(f"This machine starts no more environments: {error}") from error
        worker.init_ms = reply.milliseconds
        if reply.what == "said" and reply.said is None:
            return Started(worker)
        return Started(worker, reply)

    def give_back(self, ctx: Context, worker: Worker) -> None:
        """An invocation is over: keep its environment for the next, if it is still there."""
        worker.journal.send()
        if worker.gone:
            return
        worker.guest.rest()
        self._idle[_key(worker.spec)].append(worker)
        worker.forget = ctx.clock.host.call_later(limits.IDLE_SECONDS, lambda: self._reap(worker))

    def _reap(self, worker: Worker) -> None:
        key = _key(worker.spec)
        warm = self._idle.get(key, [])
        if worker in warm:
            warm.remove(worker)
        if not warm:
            self._idle.pop(key, None)
        worker.kill()

    def _is_good(self, ctx: Context, worker: Worker, spec: Spec) -> bool:
        left = worker.good_until - ctx.clock.now()
        needs = timedelta(seconds=spec.timeout_s) + limits.SESSION_REST
        return worker.spec.revision == spec.revision and left > needs


async def _unreserved_max(ctx: Context, account: str, region: str) -> int:
    reader = ctx.read()
    most = await quota(reader, limits.CONCURRENT_EXECUTIONS, account=account, region=region)
    holdings = await reader.get(Holdings, account, region)
    return most - (0 if holdings is None else holdings.reserved)


async def _session(ctx: Context, spec: Spec) -> dict[str, Any]:
    """Credentials of a session of the function's role. Raises AccessDenied where it has none."""
    acting = ctx.as_service("lambda", source=function_arn(spec))
    req = {"RoleArn": spec.role, "RoleSessionName": session_name(spec)}
    try:
        found: dict[str, Any] = (await acting.call("sts", "assume_role", req))["Credentials"]
    except AwsError as error:
        if error.code != "AccessDenied":
            raise
        raise AccessDenied(
            "The role defined for the function cannot be assumed by Lambda."
        ) from error
    return found


def session_name(spec: Spec) -> str:
    """The name of a role's session for a function: its own, which may be shorter than STS takes."""
    return spec.name.ljust(2, "_")


def _key(spec: Spec) -> Key:
    return spec.account, spec.region, spec.name, spec.version


def _less(counter: Counter[Any], key: Any) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _here(ctx: Context) -> runtimes.Here:
    endpoint = ctx.kernel.endpoint
    folder: Path = ctx.machine.folder
    authority = folder.parent / "ca" / "ca.pem" if endpoint.startswith("https") else None
    return runtimes.Here(endpoint, authority)
