"""API calls as CloudTrail tells them: management calls that write, as events of EventBridge.

Where a rule may want them (`kernel.listening`, kept in memory and forgotten when it changes), the
door begins a trail for such a call. Its record rides in the call's own first commit as `Pending`;
when the call has ended, a second commit puts the record with its answer into the outbox instead.
A crash in between leaves the pending record, which the next start tells without an answer. So what
has happened is told at least once. A call that only reads, by its name or since it wrote nothing, is told where a
rule wants those, too.

Source: "CloudTrail record contents" and "AWS service events delivered via AWS CloudTrail".
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from doppio.kernel.events import encode_event
from doppio.kernel.identity import Caller, principal_arn
from doppio.kernel.keys import pack
from doppio.kernel.listening import CHANGED, Listening, Told, listening
from doppio.kernel.records import record, table_of
from doppio.kernel.regions import home_of
from doppio.kernel.store import Store, StoreClosed, StoreFull, StoreTx
from doppio.kernel.wakers import Wakers
from doppio.wire import model
from doppio.wire.errors import AwsError, NotImplementedByDoppio
from doppio.wire.faults import resolve

if TYPE_CHECKING:
    from doppio.kernel.context import Context

_log = logging.getLogger("doppio.trail")
KIND = "AWS API Call via CloudTrail"
EVENT_VERSION = "1.11"
HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
# What is larger is left out of a record.
PART_BYTES_MAX = 100 * 1024
PLACES_HELD_MAX = 10_000
PENDING_A_READ = 100
# Services of no Region stand in the trail of the one in which their partition has them.
_GLOBAL = frozenset({"iam", "organizations"})
_READS = (
    "Get", "List", "Describe", "Head", "BatchGet", "Lookup", "Search", "Scan", "Query", "Select",
    "Check", "Test", "Validate", "Simulate", "Preview", "Estimate", "Filter", "Receive", "Decode",
    "Decrypt", "Encrypt", "ReEncrypt", "GenerateDataKey", "GenerateRandom", "GenerateMac", "Sign",
    "Verify", "AssumeRole",
)  # fmt: skip


@record("kernel.pending_call", key=("id",))
class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A call that has written, and whose answer is not told yet."""

    id: str
    account: str
    region: str
    source: str
    at: datetime
    record: str


class Trail:
    """One call on its way: its record, and whether it has written."""

    __slots__ = (
        "_at",
        "_operation",
        "_place",
        "_record",
        "_service",
        "_source",
        "reads",
        "written",
    )

    def __init__(
        self, ctx: Context, service: model.Service, operation: model.Operation,
        req: Mapping[str, Any], source: str, *, reads: bool,
    ) -> None:  # fmt: skip
        self._service = service
        self._operation = operation
        self._source = source
        self._at = ctx.now
        self._place = (ctx.account, region_of(ctx, service.name))
        self._record = record_of(ctx, service, operation, req)
        self.written = False
        self.reads = reads

    def ride(self, tx: StoreTx) -> None:
        """Put the record into the call's own commit."""
        self.written = True
        account, region = self._place
        pending = Pending(
            id=self._record["eventID"], account=account, region=region, source=self._source,
            at=self._at, record=json.dumps(self._record),
        )  # fmt: skip
        table = table_of(Pending)
        tx.put(table.key(pending), table.encode(pending))

    def end(self, tx: StoreTx, result: Mapping[str, Any] | None, error: AwsError | None) -> Told:
        """The fact to tell now, in place of what is pending."""
        told = dict(self._record)
        if error is not None:
            protocol = self._service.protocols[0]
            fault = resolve(self._service, self._operation, error, protocol)
            told["errorCode"], told["errorMessage"] = fault.code, fault.message
        elif is_read(self._operation.name) or not self.written:
            told["readOnly"] = True
        elif result:
            told["responseElements"] = _part(self._operation.output, result, self._service.name)
        if error is not None and is_read(self._operation.name):
            told["readOnly"] = True
        if self.written:
            tx.delete(table_of(Pending).prefix + pack(told["eventID"]))
        return _told(self._place, self._source, self._at, json.dumps(told))


class Trails:
    """Begins and ends trails, where somebody listens."""

    def __init__(self, store: Store, context_for: Callable[[str, str], Context]) -> None:
        self._store = store
        self._context_for = context_for
        self._held: dict[tuple[str, str], Listening | None] = {}
        self._changes = 0

    def start(self, wakers: Wakers) -> None:
        """Hear of who listens."""
        wakers.on(CHANGED, lambda _: self._forget())

    async def begun(
        self, ctx: Context, service: model.Service, operation: model.Operation,
        req: Mapping[str, Any],
    ) -> Trail | None:  # fmt: skip
        """A trail for a call, None: nobody listens to such calls."""
        if ctx.caller.kind in {"service", "anonymous"}:
            return None
        place = (ctx.account, region_of(ctx, service.name))
        found = self._held[place] if place in self._held else await self._looked(ctx, place)
        if found is None:
            return None
        source = f"aws.{service.endpoint_prefix.partition('.')[0]}"
        reads = found.hears_reads(source)
        if not reads and (is_read(operation.name) or not found.hears_calls(source)):
            return None
        return Trail(ctx, service, operation, req, source, reads=reads)

    async def ended(
        self,
        ctx: Context,
        trail: Trail,
        result: Mapping[str, Any] | None = None,
        error: AwsError | None = None,
    ) -> None:
        """Tell of a call that has written, or was refused."""
        nothing = error is None and not trail.written and not trail.reads
        if nothing or isinstance(error, NotImplementedByDoppio):
            return
        tx = self._store.begin()
        tx.append("events", encode_event(trail.end(tx, result, error), ctx))
        tx.notify("events")
        try:
            await tx.commit()
        except (StoreFull, StoreClosed) as failure:
            _log.warning("a call is told at the next start, or not at all: %s", failure)

    async def recover(self) -> None:
        """Tell of calls whose answers nobody can know any more."""
        ctx = self._context_for("", "")
        while left := await ctx.read().list(Pending, limit=PENDING_A_READ):
            async with ctx.write() as tx:
                for one in left:
                    tx.delete(one)
                    tx.emit(_told((one.account, one.region), one.source, one.at, one.record))

    async def _looked(self, ctx: Context, place: tuple[str, str]) -> Listening | None:
        changes = self._changes
        found = await listening(ctx.read(), *place)
        if changes == self._changes:
            if len(self._held) >= PLACES_HELD_MAX:
                self._held.clear()
            self._held[place] = found
        return found

    def _forget(self) -> None:
        self._changes += 1
        self._held.clear()


def is_read(operation: str) -> bool:
    """Whether an operation only reads, by its name, whatever it may note down."""
    return operation.startswith(_READS)


def region_of(ctx: Context, service: str) -> str:
    """The Region in whose trail a call stands."""
    return home_of(ctx.region) if service in _GLOBAL else ctx.region


def record_of(
    ctx: Context, service: model.Service, operation: model.Operation, req: Mapping[str, Any]
) -> dict[str, Any]:
    """CloudTrail's record of a call, before its answer is known."""
    return {
        "eventVersion": EVENT_VERSION,
        "userIdentity": identity_of(ctx.caller),
        "eventTime": ctx.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{service.endpoint_prefix.partition('.')[0]}.amazonaws.com",
        "eventName": operation.name,
        "awsRegion": region_of(ctx, service.name),
        "sourceIPAddress": ctx.source_ip,
        "userAgent": ctx.user_agent,
        "requestParameters": _part(operation.input, req, service.name),
        "responseElements": None,
        "requestID": ctx.request_id,
        "eventID": ctx.new_id(),
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ctx.account,
        "eventCategory": "Management",
    }


def identity_of(caller: Caller) -> dict[str, Any]:
    """CloudTrail's `userIdentity`. Source: "CloudTrail userIdentity element"."""
    found: dict[str, Any] = {
        "type": {"root": "Root", "user": "IAMUser", "assumed-role": "AssumedRole"}.get(
            caller.kind, "FederatedUser"
        ),
        "principalId": caller.id,
        "arn": caller.arn,
        "accountId": caller.account,
    }
    if caller.access_key is not None:
        found["accessKeyId"] = caller.access_key
    if caller.kind == "user":
        found["userName"] = caller.arn.rpartition("/")[2]
    if caller.kind == "assumed-role":
        role = principal_arn(caller)
        session = caller.session
        attributes = {"mfaAuthenticated": str(session.get("aws:multifactorauthpresent", "false"))}
        if "aws:tokenissuetime" in session:
            attributes["creationDate"] = session["aws:tokenissuetime"]
        found["sessionContext"] = {
            "sessionIssuer": {
                "type": "Role",
                "principalId": caller.id.partition(":")[0],
                "arn": role,
                "accountId": caller.account,
                "userName": role.rpartition("/")[2],
            },
            "attributes": attributes,
        }
    return found


def _told(place: tuple[str, str], source: str, at: datetime, text: str) -> Told:
    return Told(key=place, source=source, kind=KIND, detail=text, resources=[], at=at)


def _part(
    shape: model.Shape | None, given: Mapping[str, Any], service: str
) -> dict[str, Any] | None:
    """What was asked or answered, as a record shows it; None where there is nothing to show."""
    if shape is None:
        return None
    shown = _shown(shape, given, _as_is if service == "s3" else _lowered)
    if service == "s3" and "Bucket" in shown:
        shown["bucketName"] = shown.pop("Bucket")
    size = len(json.dumps(shown))
    if size > PART_BYTES_MAX:
        return {"omitted": True, "originalSize": size, "reason": "request too large"}
    return shown or None


def _shown(shape: model.Shape, value: Any, name_of: Callable[[str], str]) -> Any:
    """A value without what is secret, and without bytes."""
    if shape.sensitive:
        return HIDDEN
    if shape.type == "structure" and isinstance(value, Mapping):
        members = shape.members
        return {
            name_of(name): _shown(members[name].shape, one, name_of)
            for name, one in value.items()
            if name in members and one is not None and members[name].shape.type != "blob"
        }
    if shape.type == "list" and isinstance(value, list | tuple):
        return [_shown(shape.member.shape, one, name_of) for one in value]
    if shape.type == "map" and isinstance(value, Mapping):
        return {str(key): _shown(shape.value.shape, one, name_of) for key, one in value.items()}
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value if isinstance(value, str | int | float | bool) else str(value)


def _lowered(name: str) -> str:
    return name[0].lower() + name[1:]


def _as_is(name: str) -> str:
    return name
