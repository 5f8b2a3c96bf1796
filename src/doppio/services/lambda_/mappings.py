"""Event source mappings: made, shown, changed and deleted."""

from __future__ import annotations

from collections.abc import Mapping as Given
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import page_of
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import (
    InvalidParameterValue,
    ResourceConflict,
    ResourceInUse,
    ResourceNotFound,
)
from doppio.services.lambda_.mapping_rules import ACTIONS, call_name, checked, kind_of
from doppio.services.lambda_.names import Named, named, version_of
from doppio.services.lambda_.pages import position, size_of
from doppio.services.lambda_.records import Mapping, MappingChanged, Version
from doppio.services.lambda_.roles import acting_as
from doppio.services.lambda_.tagging import merged
from doppio.services.sqs.ports import url_of
from doppio.wire.errors import AccessDenied, AwsError

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w

_BUSY = frozenset({"Creating", "Updating", "Deleting"})


class Mappings:
    """The operations on event source mappings."""

    async def create_event_source_mapping(
        self, ctx: Context, req: w.CreateEventSourceMappingRequest
    ) -> w.EventSourceMappingConfiguration:
        """Have a source's records brought to a function, once the mapping is Enabled."""
        if not req.get("EventSourceArn"):
            raise InvalidParameterValue("EventSourceArn must be given: it is the event source.")
        which, source = named(ctx, req), req["EventSourceArn"]
        version = await version_of(ctx.read(), which, which.qualifier)
        given = checked(source, {}, req)
        await _check_source(ctx, version, source)
        mapping = Mapping(
            account=which.account, region=which.region, id=ctx.new_id(),
            partition=which.partition, source=source, function=which.name,
            qualifier=which.qualifier, modified_at=ctx.now, created_at=ctx.now, given=given,
            wanted="Enabled" if req.get("Enabled", True) else "Disabled",
            tags=merged({}, req.get("Tags") or {}),
        )  # fmt: skip
        async with ctx.write() as tx:
            for other in await _all(tx, which):
                if (other.source, other.function_arn) == (source, mapping.function_arn):
                    raise ResourceConflict(
                        f'The event source arn (" {source} ") and function (" {which.name} ") '
                        "provided mapping already exists. Please update or delete the existing "
                        f"mapping with UUID {other.id}"
                    )
            _put(tx, mapping)
        return _shown(mapping)  # type: ignore[return-value]

    async def get_event_source_mapping(
        self, ctx: Context, req: w.GetEventSourceMappingRequest
    ) -> w.EventSourceMappingConfiguration:
        """A mapping."""
        found = await existing(ctx.read(), ctx, req["UUID"])
        return _shown(found)  # type: ignore[return-value]

    async def update_event_source_mapping(
        self, ctx: Context, req: w.UpdateEventSourceMappingRequest
    ) -> w.EventSourceMappingConfiguration:
        """Change a mapping; what is not given stays, and its source always does."""
        seen = await existing(ctx.read(), ctx, req["UUID"])
        which = _named(ctx, seen) if "FunctionName" not in req else named(ctx, req)
        version = await version_of(ctx.read(), which, which.qualifier)
        given = checked(seen.source, seen.given, req)
        await _check_source(ctx, version, seen.source)
        async with ctx.write() as tx:
            old = await existing(tx, ctx, req["UUID"])
            if old.state in _BUSY:
                raise ResourceInUse("Cannot update the event source mapping because it is in use.")
            wanted = old.wanted
            if "Enabled" in req:
                wanted = "Enabled" if req["Enabled"] else "Disabled"
            mapping = replace(
                old, function=which.name, qualifier=which.qualifier, given=given, wanted=wanted,
                state=_leading_to(old.wanted, wanted), reason="USER_INITIATED",
                modified_at=ctx.now,
            )  # fmt: skip
            _put(tx, mapping)
        return _shown(mapping)  # type: ignore[return-value]

    async def delete_event_source_mapping(
        self, ctx: Context, req: w.DeleteEventSourceMappingRequest
    ) -> w.EventSourceMappingConfiguration:
        """Delete a mapping; what is in its source stays there."""
        async with ctx.write() as tx:
            old = await existing(tx, ctx, req["UUID"])
            if old.state == "Deleting":
                raise ResourceInUse("Cannot delete the event source mapping because it is in use.")
            mapping = replace(old, wanted="Deleted", state="Deleting", modified_at=ctx.now)
            _put(tx, mapping)
        return _shown(mapping)  # type: ignore[return-value]

    async def list_event_source_mappings(
        self, ctx: Context, req: w.ListEventSourceMappingsRequest
    ) -> w.ListEventSourceMappingsResponse:
        """The account's mappings: all, or those of a source or a function."""
        which = named(ctx, req) if req.get("FunctionName") else None
        source, most = req.get("EventSourceArn"), size_of(req)
        scope = f"mappings/{ctx.account}/{ctx.region}/{source}/{which and which.qualified}"
        shown, token = await page_of(
            ctx.read(), Mapping, (ctx.account, ctx.region), most=most, scope=scope,
            after=position(req, scope), step=limits.STEP_ROWS,
            fits=lambda row: (
                source in (None, row.source)
                and (which is None or which.qualified == row.function_arn)
            ),
        )  # fmt: skip
        told: dict[str, Any] = {"EventSourceMappings": [_shown(one) for one in shown]}
        if token is not None:
            told["NextMarker"] = token
        return told  # type: ignore[return-value]


async def existing(reader: Reader, ctx: Context, uuid: str) -> Mapping:
    """A mapping. Raises ResourceNotFoundException."""
    found = await reader.get(Mapping, ctx.account, ctx.region, uuid)
    if found is None:
        raise ResourceNotFound("The resource you requested does not exist.")
    return found


def changed(arn: str) -> str:
    """What rings when a mapping is changed."""
    return f"mapping-changed/{arn}"


def _put(tx: Tx, mapping: Mapping) -> None:
    """Store a mapping, and have it looked at."""
    tx.put(mapping)
    tx.wake(changed(mapping.arn))
    tx.emit(MappingChanged(key=(mapping.account, mapping.region, mapping.id)))


async def _all(tx: Tx, which: Named) -> list[Mapping]:
    return await tx.list(Mapping, (which.account, which.region), limit=limits.LISTED_ANY_MAX)


def _named(ctx: Context, mapping: Mapping) -> Named:
    return named(ctx, {"FunctionName": mapping.function_arn})


def _leading_to(old: str, wanted: str) -> str:
    if old == wanted:
        return "Updating"
    return "Enabling" if wanted == "Enabled" else "Disabling"


async def _check_source(ctx: Context, version: Version, source: str) -> None:
    """Raise InvalidParameterValueException where a function's role cannot read a source."""
    kind = kind_of(source)
    acting = await acting_as(ctx, version.config.role, version.function_arn)
    for action in ACTIONS[kind]:
        try:
            await acting.authorise(action, source)
        except AccessDenied as error:
            raise InvalidParameterValue(
                "The provided execution role does not have permissions to call "
                f"{call_name(kind, action)}"
            ) from error
    if kind == "sqs":
        await _check_queue(acting, version, source)


async def _check_queue(acting: Context, version: Version, source: str) -> None:
    """A queue must be there, and hide its messages at least as long as the function may take."""
    asked = {"QueueUrl": url_of(acting, source), "AttributeNames": ["VisibilityTimeout"]}
    try:
        told = await acting.call("sqs", "get_queue_attributes", asked)
    except AwsError as error:
        if error.status >= 500:
            raise
        raise InvalidParameterValue(
            f"Error occurred while ReceiveMessage. SQS Error Code: {error.code}. SQS Error "
            f"Message: {error.message}"
        ) from error
    hidden, takes = int(told["Attributes"]["VisibilityTimeout"]), version.config.timeout_seconds
    if hidden < takes:
        raise InvalidParameterValue(
            f"Queue visibility timeout: {hidden} seconds is less than Function timeout: {takes} "
            "seconds"
        )


_DEFAULTS: Given[str, Any] = {
    "BatchSize": limits.QUEUE_BATCH_DEFAULT, "MaximumBatchingWindowInSeconds": 0,
    "FunctionResponseTypes": [],
}  # fmt: skip
_STREAM_DEFAULTS: Given[str, Any] = {
    "BatchSize": limits.STREAM_BATCH_DEFAULT, "MaximumBatchingWindowInSeconds": 0,
    "FunctionResponseTypes": [], "ParallelizationFactor": 1, "BisectBatchOnFunctionError": False,
    "MaximumRecordAgeInSeconds": -1, "MaximumRetryAttempts": -1, "TumblingWindowInSeconds": 0,
    "DestinationConfig": {"OnFailure": {}},
}  # fmt: skip


def _shown(mapping: Mapping) -> dict[str, Any]:
    streams = kind_of(mapping.source) != "sqs"
    told = {
        **(_STREAM_DEFAULTS if streams else _DEFAULTS),
        **mapping.given,
        "UUID": mapping.id,
        "EventSourceMappingArn": mapping.arn,
        "EventSourceArn": mapping.source,
        "FunctionArn": mapping.function_arn,
        "LastModified": mapping.modified_at,
        "State": mapping.state,
        "StateTransitionReason": "User action" if streams else mapping.reason,
    }
    if streams:
        told["LastProcessingResult"] = mapping.result or "No records processed"
    return told
