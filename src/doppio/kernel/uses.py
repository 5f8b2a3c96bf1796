"""What principals have really done: the actions they were allowed, on what, and when last.

Who reviews permissions asks this: which key is still used, which service a role never touches,
what a policy would have to allow. It is gathered in memory, where the engine has let a call pass,
and written in a batch a moment later: a call must not wait for it, and a crash may lose the last
second. An account's root is let pass without being judged, and leaves no trace here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from doppio.kernel.policy.match import wildcard
from doppio.kernel.records import record, table_of
from doppio.kernel.store import Conflict, StoreClosed, StoreFull

if TYPE_CHECKING:
    from doppio.kernel.context import Context, Reader, Tx
    from doppio.kernel.service import Need

_log = logging.getLogger("doppio.uses")
BATCH_SECONDS = 1.0
GATHERED_MAX = 10_000
ROWS_A_COMMIT = 200
# Of more resources than that, what they have in common is kept.
RESOURCES_MAX = 20
USES_MAX = 10_000


@record("kernel.use", key=("principal", "action"))
class Use(msgspec.Struct, frozen=True, kw_only=True):
    """An action that a principal, known by its unique id, has used; when and where last."""

    principal: str
    action: str
    at: datetime
    region: str
    resources: list[str]


@record("kernel.key_use", key=("access_key",))
class KeyUse(msgspec.Struct, frozen=True, kw_only=True):
    """When, where and with which service an access key was used last."""

    access_key: str
    at: datetime
    region: str
    service: str


class _Seen(NamedTuple):
    at: datetime
    region: str
    resources: set[str]


class Uses:
    """Gathers what was done."""

    def __init__(self, context: Callable[[], Context]) -> None:
        self._context = context
        self._seen: dict[tuple[str, str | None, str, str], tuple[datetime, str]] = {}
        self._last: dict[bytes, Any] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._flush: asyncio.Task[None] | None = None
        self._closed = False

    def saw(self, ctx: Context, need: Need) -> None:
        """A call has been let pass."""
        caller = ctx.caller
        key = (caller.id, caller.access_key, need.action, need.resource)
        self._seen[key] = (ctx.now, ctx.region)
        self._arm(len(self._seen))

    def last(self, record: Any) -> None:
        """A record, without indexes, of what a thing was used for last: the newest one is kept."""
        table = table_of(type(record))
        assert not table.indexes
        self._last[table.key(record)] = record
        self._arm(len(self._last))

    async def close(self) -> None:
        """Write the last of it."""
        self._closed = True
        if self._flush is not None:
            await self._flush
        await self.flush()

    async def flush(self) -> None:
        """Write what has been gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._seen = self._seen, {}
        last, self._last = list(self._last.values()), {}
        uses: dict[tuple[str, str], _Seen] = {}
        keys: dict[str, KeyUse] = {}
        for (caller, access_key, action, resource), (at, region) in gathered.items():
            # A session is its role.
            use = (caller.partition(":")[0], action)
            before = uses.get(use)
            resources = {resource} if before is None else before.resources | {resource}
            uses[use] = _Seen(at, region, resources)
            # Keys of sessions come and go.
            if access_key is not None and access_key.startswith("AKIA"):
                service = action.partition(":")[0]
                keys[access_key] = KeyUse(
                    access_key=access_key, at=at, region=region, service=service
                )
        todo = list(uses.items())
        try:
            for begin in range(0, len(todo), ROWS_A_COMMIT):
                await self._keep(todo[begin : begin + ROWS_A_COMMIT])
            if keys:
                async with self._context().write() as tx:
                    for one in keys.values():
                        tx.put(one)
            for begin in range(0, len(last), ROWS_A_COMMIT):
                async with self._context().write() as tx:
                    for record in last[begin : begin + ROWS_A_COMMIT]:
                        tx.put(record)
        except (StoreFull, StoreClosed, Conflict) as error:
            _log.warning("what principals did was not kept: %s", error)

    async def _keep(self, some: list[tuple[tuple[str, str], _Seen]]) -> None:
        async def keep(tx: Tx) -> None:
            for (principal, action), seen in some:
                before = await tx.get(Use, principal, action)
                known = [] if before is None else before.resources
                resources = widened(known, sorted(seen.resources))
                tx.put(
                    Use(
                        principal=principal, action=action, at=seen.at, region=seen.region,
                        resources=resources,
                    )
                )  # fmt: skip

        await self._context().transact(keep)

    def _arm(self, gathered: int) -> None:
        if self._timer is None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._due)
        if gathered >= GATHERED_MAX:
            self._due()

    def _due(self) -> None:
        self._timer = None
        self._flush = asyncio.get_running_loop().create_task(self.flush())


async def uses_of(reader: Reader, principal: str) -> list[Use]:
    """What a principal has done, by action."""
    return await reader.list(Use, (principal,), limit=USES_MAX)


async def forget_uses(tx: Tx, principal: str) -> None:
    """Forget what somebody did who is gone."""
    for use in await uses_of(tx, principal):
        tx.delete(use)


def widened(known: list[str], more: Iterable[str]) -> list[str]:
    """Patterns of resources that cover those known and more; few, and no wider than they must be."""
    found = list(known)
    for resource in more:
        if not _covered(resource, found):
            found.append(resource)
    while len(found) > RESOURCES_MAX:
        found = _with_parents(found)
    return [one for one in found if not _covered(one, (other for other in found if other != one))]


def _covered(resource: str, patterns: Iterable[str]) -> bool:
    return any(one == resource or ("*" in one and wildcard(one)(resource)) for one in patterns)


def _with_parents(resources: list[str]) -> list[str]:
    """The same, those that lie deepest replaced by all that lies beside them."""
    by_depth: dict[int, list[str]] = defaultdict(list)
    for one in resources:
        by_depth[_depth(one)].append(one)
    deepest = by_depth.pop(max(by_depth))
    wide = sorted({_parent(one) for one in deepest})
    wide = [one for one in wide if not _covered(one, (other for other in wide if other != one))]
    return wide + [one for rest in by_depth.values() for one in rest if not _covered(one, wide)]


def _depth(resource: str) -> int:
    parts = resource.removesuffix("*").rstrip("/:")
    return parts.count("/") + parts.count(":") + (0 if resource.endswith("*") else 1)


def _parent(resource: str) -> str:
    """All that lies beside a resource: `arn:…:bucket/a/b` gives `arn:…:bucket/a/*`."""
    inner = resource.removesuffix("*").rstrip("/:") if resource.endswith("*") else resource
    cut = max(inner.rfind("/"), inner.rfind(":"))
    return f"{inner[: cut + 1]}*"
