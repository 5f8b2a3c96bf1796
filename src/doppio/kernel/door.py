"""The door: every call of every service passes here, from the network or from another service.

validate → authorise → run (again on a conflict) → record. A name that leads elsewhere is followed
before anything is judged. Nothing goes round it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from doppio.kernel.authorise import Authoriser
from doppio.kernel.conflicts import TRIES_MAX, step_aside
from doppio.kernel.context import Context
from doppio.kernel.service import Service
from doppio.kernel.store import Conflict, StoreClosed, StoreFull
from doppio.kernel.tag_rules import TagKeeper
from doppio.kernel.trail import Trails
from doppio.wire import model
from doppio.wire.errors import (
    AwsError,
    InternalFailure,
    NotImplementedByDoppio,
    ServiceUnavailable,
    Throttled,
)
from doppio.wire.validate import validator

_log = logging.getLogger("doppio.door")
_EMPTY: dict[str, Any] = {}


class _Way:
    """One operation's way through the door, made at its first call."""

    __slots__ = (
        "again",
        "name",
        "needs",
        "operation",
        "readdress",
        "refused",
        "run",
        "told",
        "validate",
    )

    def __init__(self, service: Service, method: str, operation: model.Operation) -> None:
        run = service.operations.get(method)
        if run is None:
            raise NotImplementedByDoppio(
                f"{service.name}:{operation.name} exists in AWS and not yet in this cloud"
            )
        self.run = run
        self.name = operation.name
        self.needs = service.needs
        self.readdress = service.readdress
        self.refused = service.refused
        self.validate: Callable[[Mapping[str, Any]], None] = validator(
            operation, model.load(service.name)
        )
        # A stream can be read once; such operations use `transact` themselves.
        self.again = operation.streaming_input is None
        self.operation = operation
        self.told = operation.name not in service.data_events


class Door:
    """Validates, authorises, runs and records calls."""

    def __init__(
        self,
        services: Mapping[str, Service],
        authoriser: Authoriser,
        trails: Trails,
        tags: TagKeeper,
    ) -> None:
        self._services = services
        self._tags = tags
        self._authoriser = authoriser
        self._trails = trails
        self._ways: dict[tuple[str, str], _Way] = {}

    def enter(
        self, ctx: Context, service: str, method: str, req: Mapping[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        """Run an operation for `ctx.caller`; raises AwsError and nothing else."""
        way = self._ways.get((service, method)) or self._way(service, method)
        ctx.service = service
        ctx.operation = way.name
        if way.told:
            return self._telling(ctx, way, req)
        # Data events have no rows.
        ctx.audited = True
        return self._through(ctx, way, req)

    async def _telling(self, ctx: Context, way: _Way, req: Mapping[str, Any]) -> Any:
        """Go through, and tell EventBridge of it where somebody listens."""
        trail = await self._trails.begun(ctx, way.operation.service, way.operation, req)
        if trail is None:
            return await self._through(ctx, way, req)
        before, ctx.trail = ctx.trail, trail
        try:
            result = await self._through(ctx, way, req)
        except AwsError as error:
            await self._trails.ended(ctx, trail, error=error)
            raise
        finally:
            ctx.trail = before
        await self._trails.ended(ctx, trail, result)
        return result

    async def _through(self, ctx: Context, way: _Way, req: Mapping[str, Any]) -> Any:
        try:
            way.validate(req)
            if (
                way.readdress is not None
                and (meant := way.readdress(ctx, way.name, req)) is not None
            ):
                req = await meant
            needs = way.needs(ctx, way.name, req)
            if not self._authoriser.is_own(ctx, needs):
                await self._authoriser.check(ctx, needs)
            if self._tags.wanted:
                await self._tags.check(ctx, way.name, req, needs)
            result = await way.run(ctx, req)
        except Conflict:
            return await self._again(ctx, way, req)
        except AwsError as error:
            _refused(ctx, way, req, error)
            raise
        except (StoreFull, StoreClosed) as error:
            raise unavailable(error) from error
        if not ctx.audited:
            ctx.kernel.audit.finished(ctx, None)
        return _EMPTY if result is None else result

    async def _again(self, ctx: Context, way: _Way, req: Mapping[str, Any]) -> Any:
        for tries in range(TRIES_MAX if way.again else 0):
            await step_aside(ctx, tries)
            ctx.audited = not way.told
            try:
                result = await way.run(ctx, req)
            except Conflict:
                continue
            except AwsError as error:
                _refused(ctx, way, req, error)
                raise
            except (StoreFull, StoreClosed) as error:
                raise unavailable(error) from error
            ctx.kernel.audit.finished(ctx, None)
            return _EMPTY if result is None else result
        _log.warning("%s:%s lost %d races in a row", ctx.service, ctx.operation, TRIES_MAX)
        raise Throttled("Too many concurrent changes of the same resource; please try again.")

    def _way(self, service_name: str, method: str) -> _Way:
        operation = model.load(service_name).by_method.get(method)
        if operation is None:
            raise InternalFailure(f"{service_name} has no operation {method}")
        service = self._services.get(service_name)
        if service is None:
            raise NotImplementedByDoppio(
                f"{service_name}:{operation.name} exists in AWS and not yet in this cloud"
            )
        way = self._ways[(service_name, method)] = _Way(service, method, operation)
        return way


def _refused(ctx: Context, way: _Way, req: Mapping[str, Any], error: AwsError) -> None:
    ctx.kernel.audit.finished(ctx, error.code)
    if way.refused is not None:
        way.refused(ctx, req, error)


def unavailable(error: StoreFull | StoreClosed) -> ServiceUnavailable:
    """What a client hears when the store refuses: all of what the store says, and what to do."""
    if isinstance(error, StoreFull):
        return ServiceUnavailable(
            "The disk that holds this cloud's data is full: nothing was written. "
            "Reading goes on; free some space and try again."
        )
    return ServiceUnavailable(f"This cloud cannot write now: {error}.")
