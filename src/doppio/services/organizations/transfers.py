"""Responsibility transfers: the bills of one organisation as the business of another.

The management account that is to take them on invites the other's; the consent is a handshake.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.services.organizations import handshakes, limits, tree
from doppio.services.organizations.errors import (
    AccessDenied,
    DuplicateHandshake,
    InvalidTransferTransition,
    TransferAlreadyInStatus,
    TransferNotFound,
    hindrance,
    invalid,
    violation,
)
from doppio.services.organizations.handshakes import ACCEPTED, REQUESTED, TRANSFER
from doppio.services.organizations.membership import told
from doppio.services.organizations.parties import account_named, checked_party
from doppio.services.organizations.records import (
    INBOUND,
    OUTBOUND,
    Account,
    Handshake,
    Organization,
    Thing,
    Transfer,
)
from doppio.services.organizations.tagging import new_tags

if TYPE_CHECKING:
    from doppio._stubs import organizations as w

WITHDRAWN = "WITHDRAWN"
_LIVE = frozenset({REQUESTED, ACCEPTED})


class Transfers:
    """The operations on responsibility transfers."""

    async def invite_organization_to_transfer_responsibility(
        self, ctx: Context, req: w.InviteOrganizationToTransferResponsibilityRequest
    ) -> w.InviteOrganizationToTransferResponsibilityResponse:
        """Ask another organisation's management account to let this one have its bills."""
        party = checked_party(req["Target"]["Type"], req["Target"]["Id"])
        start = req["StartTimestamp"]
        _check_start(ctx, start)
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            asked = await account_named(tx, party)
            if asked is not None and asked.id == ctx.account:
                raise hindrance(
                    "SOURCE_AND_TARGET_CANNOT_MATCH",
                    "The sender of an invitation cannot be its recipient.",
                )
            name = ctx.new_id("responsibility-transfer")
            handshake = await _ask(tx, organization, party, req, name)
            tx.add(
                Transfer(
                    id=name, name=req["SourceName"], target=ctx.account, status=REQUESTED,
                    start_at=start, handshake=handshake.id, tags=new_tags(req.get("Tags", ())),
                    source=None if asked is None else asked.id,
                    source_email=party[1] if party[0] == "EMAIL" else None,
                )
            )  # fmt: skip
        return {"Handshake": handshakes.to_wire(handshake)}  # type: ignore[typeddict-item]

    async def describe_responsibility_transfer(
        self, ctx: Context, req: w.DescribeResponsibilityTransferRequest
    ) -> w.DescribeResponsibilityTransferResponse:
        """A transfer, for those between whom it is."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        transfer = await _existing(reader, ctx, req["Id"])
        return {"ResponsibilityTransfer": await _to_wire(reader, organization, transfer)}  # type: ignore[typeddict-item]

    async def list_inbound_responsibility_transfers(
        self, ctx: Context, req: w.ListInboundResponsibilityTransfersRequest
    ) -> w.ListInboundResponsibilityTransfersResponse:
        """The organisations whose bills are this one's business, or may become it."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        rows = await reader.find(INBOUND, (ctx.account,), limit=limits.ROWS_MAX)
        if "Id" in req:
            rows = [row for row in rows if row.id == req["Id"]]
            if not rows:
                raise TransferNotFound()
        shown = [(row.id, await _to_wire(reader, organization, row)) for row in rows]
        return tree.page(req, shown, "ResponsibilityTransfers", f"inbound/{ctx.account}")  # type: ignore[return-value]

    async def list_outbound_responsibility_transfers(
        self, ctx: Context, req: w.ListOutboundResponsibilityTransfersRequest
    ) -> w.ListOutboundResponsibilityTransfersResponse:
        """Whose business the bills of this organisation are, or may become."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        rows = await reader.find(OUTBOUND, (ctx.account,), limit=limits.ROWS_MAX)
        shown = [(row.id, await _to_wire(reader, organization, row)) for row in rows]
        return tree.page(req, shown, "ResponsibilityTransfers", f"outbound/{ctx.account}")  # type: ignore[return-value]

    async def update_responsibility_transfer(
        self, ctx: Context, req: w.UpdateResponsibilityTransferRequest
    ) -> w.UpdateResponsibilityTransferResponse:
        """Give a transfer another name, which is for those who have asked for it."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            transfer = await _existing(tx, ctx, req["Id"])
            if transfer.target != ctx.account:
                raise AccessDenied()
            if transfer.status not in _LIVE:
                raise violation(
                    "TRANSFER_RESPONSIBILITY_UPDATE_NOT_ALLOWED",
                    "You cannot update this transfer because it is no longer active.",
                )
            transfer = tx.put(replace(transfer, name=req["Name"]))
            shown = await _to_wire(tx, organization, transfer)
        return {"ResponsibilityTransfer": shown}  # type: ignore[typeddict-item]

    async def terminate_responsibility_transfer(
        self, ctx: Context, req: w.TerminateResponsibilityTransferRequest
    ) -> w.TerminateResponsibilityTransferResponse:
        """End a transfer with this month, or a later one."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            transfer = await _existing(tx, ctx, req["Id"])
            if transfer.status == WITHDRAWN:
                raise TransferAlreadyInStatus()
            if transfer.status != ACCEPTED:
                raise InvalidTransferTransition()
            last = _month_end(max(ctx.now, transfer.start_at))
            ends = req.get("EndTimestamp", last)
            _check_end(ends, last)
            transfer = tx.put(replace(transfer, status=WITHDRAWN, end_at=ends))
            for account in (transfer.source, transfer.target):
                assert account is not None, "it was accepted by somebody"
                details = {"id": transfer.id, "endTimestamp": ends.isoformat()}
                await told(tx, account, "ResponsibilityTransferTerminated", details)
            shown = await _to_wire(tx, organization, transfer)
        return {"ResponsibilityTransfer": shown}  # type: ignore[typeddict-item]


async def _ask(
    tx: Tx, organization: Organization, party: tuple[str, str], req: Any, name: str
) -> Handshake:
    asked = await handshakes.of_organization(tx, organization.id)
    waiting = [one for one in asked if one.action == TRANSFER and one.state in handshakes.GOING]
    if any(one.party == party[1] for one in waiting):
        raise DuplicateHandshake()
    master = await tree.account_of(tx, organization.master)
    things = [
        Thing("RESPONSIBILITY_TRANSFER", name),
        Thing("TRANSFER_TYPE", req["Type"]),
        Thing("TRANSFER_START_TIMESTAMP", req["StartTimestamp"].isoformat()),
        Thing(
            "MANAGEMENT_ACCOUNT",
            master.id,
            (Thing("MANAGEMENT_EMAIL", master.email), Thing("MANAGEMENT_NAME", master.name)),
        ),
    ]
    if "Notes" in req:
        things.append(Thing("NOTES", req["Notes"]))
    return await handshakes.begin(
        tx, organization, TRANSFER, party, things, limits.INVITATION_LASTS, state=REQUESTED
    )


async def check_acceptable(tx: Tx, ctx: Context, handshake: Handshake) -> None:
    """Raise where the caller cannot let go of what a handshake asks for."""
    organization = await tree.own(tx, ctx)
    if organization.master != ctx.account:
        raise AccessDenied()
    if organization.id == handshake.organization:
        raise hindrance(
            "SOURCE_AND_TARGET_CANNOT_MATCH", "The sender of an invitation cannot be its recipient."
        )
    rows = await tx.find(OUTBOUND, (ctx.account,), limit=limits.ROWS_MAX)
    if any(row.status == ACCEPTED for row in rows):
        raise hindrance(
            "RESPONSIBILITY_TRANSFER_ALREADY_EXISTS",
            "You cannot perform this operation with the current transfer.",
        )
    transfer = await handshakes.transfer_of(tx, handshake)
    assert transfer is not None, "a transfer outlives its handshake"
    tx.put(replace(transfer, source=ctx.account))
    for account in (ctx.account, transfer.target):
        await told(tx, account, "ResponsibilityTransferAccepted", {"id": transfer.id})


async def check_none(tx: Tx, account: str) -> None:
    """Raise while a management account is in a transfer: its organisation stays."""
    rows: list[Transfer] = []
    for index in (INBOUND, OUTBOUND):
        rows += await tx.find(index, (account,), limit=limits.ROWS_MAX)
    now = tx.context.now
    for row in rows:
        ending = row.status == WITHDRAWN and row.end_at is not None and row.end_at > now
        mine = row.target == account or row.status != REQUESTED
        if mine and (row.status in _LIVE or ending):
            raise violation(
                "ACTIVE_RESPONSIBILITY_TRANSFER_PROCESS",
                "You cannot delete organization due to an ongoing responsibility transfer process.",
            )


async def _existing(reader: Reader, ctx: Context, name: str) -> Transfer:
    found = await reader.get(Transfer, name)
    if found is None or ctx.account not in (found.source, found.target):
        raise TransferNotFound()
    return found


async def _to_wire(
    reader: Reader, organization: Organization, transfer: Transfer
) -> dict[str, Any]:
    inbound = transfer.target == organization.master
    way = "inbound" if inbound else "outbound"
    target = await tree.account_of(reader, transfer.target)
    shown = {
        "Id": transfer.id,
        "Arn": organization.arn_of("transfer", "billing", way, transfer.id),
        "Name": transfer.name,
        "Type": "BILLING",
        "Status": transfer.status,
        "Source": await _source(reader, transfer),
        "Target": _participant(target),
        "StartTimestamp": transfer.start_at,
        "EndTimestamp": transfer.end_at,
        "ActiveHandshakeId": transfer.handshake if transfer.status == REQUESTED else None,
    }
    return {key: value for key, value in shown.items() if value is not None}


async def _source(reader: Reader, transfer: Transfer) -> dict[str, Any]:
    if transfer.source is not None:
        return _participant(await tree.account_of(reader, transfer.source))
    return {"ManagementAccountEmail": transfer.source_email}


def _participant(account: Account) -> dict[str, Any]:
    return {"ManagementAccountId": account.id, "ManagementAccountEmail": account.email}


def _check_start(ctx: Context, start: datetime) -> None:
    if (start.hour, start.minute, start.second, start.microsecond) != (0, 0, 0, 0):
        raise invalid(
            "START_DATE_NOT_BEGINNING_OF_DAY", "The start date must be the beginning of a day."
        )
    if start.day != 1:
        raise invalid(
            "START_DATE_NOT_BEGINNING_OF_MONTH", "The start date must be the beginning of a month."
        )
    if start <= ctx.now:
        raise invalid("START_DATE_TOO_EARLY", "The start date must be in a month to come.")


def _check_end(ends: datetime, first: datetime) -> None:
    if _month_end(ends) != ends:
        raise invalid("END_DATE_NOT_END_OF_MONTH", "The end date must be the end of a month.")
    if ends < first:
        raise invalid("END_DATE_TOO_EARLY", "The end date must not be in a month that has passed.")


def _month_end(at: datetime) -> datetime:
    """The last second of the month of a time."""
    first = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return following - timedelta(seconds=1)
