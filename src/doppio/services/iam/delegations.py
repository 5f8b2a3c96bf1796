"""Delegation requests: another account asks to act here for a while, and somebody here says yes or no.

A request goes from hand to hand: its requestor makes it, an owner takes it on, an approver accepts
it (and it is the approver as whom the requestor will act), and somebody sends the token. What has
been said cannot be taken back; what nobody decides expires.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.authorise import access_request
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.policy import PolicySet
from doppio.kernel.service import Need
from doppio.services.iam import delegation_rules as rules
from doppio.services.iam import limits
from doppio.services.iam.attachments import managed
from doppio.services.iam.common import checked_document, page
from doppio.services.iam.delegation_records import DELEGATED_TO, WORKFLOWS, DelegationRequest
from doppio.services.iam.delegation_work import FORGET, TELL, approving_session
from doppio.services.iam.errors import (
    ConcurrentModification,
    EntityAlreadyExists,
    InvalidInput,
    LimitExceeded,
    NoSuchEntity,
)
from doppio.wire.errors import AccessDenied

if TYPE_CHECKING:
    from doppio._stubs import iam as w

_WAITS = timedelta(days=limits.DELEGATION_DAYS)
_OPEN = (rules.ASSIGNED, rules.PENDING)


class Delegations:
    """The operations on delegation requests."""

    async def create_delegation_request(
        self, ctx: Context, req: w.CreateDelegationRequestRequest
    ) -> w.CreateDelegationRequestResponse:
        """Ask an account, or whoever takes the request on, for permissions for a while."""
        permissions = req["Permissions"]
        template, parameters = (
            permissions.get("PolicyTemplateArn", ""),
            permissions.get("Parameters", []),
        )
        _check_channel(req["NotificationChannel"])
        async with ctx.write() as tx:
            if await tx.find(WORKFLOWS, (ctx.account, req["RequestorWorkflowId"]), limit=1):
                raise EntityAlreadyExists(
                    f"A delegation request with workflow id {req['RequestorWorkflowId']} already "
                    "exists."
                )
            under_way = await tx.find(
                WORKFLOWS, (ctx.account,), limit=limits.DELEGATION_REQUESTS_MAX
            )
            if len(under_way) >= limits.DELEGATION_REQUESTS_MAX:
                raise LimitExceeded(
                    "Cannot exceed quota for DelegationRequestsPerAccount: "
                    f"{limits.DELEGATION_REQUESTS_MAX}"
                )
            policy = rules.filled(await _template(tx, ctx, template), parameters)
            owner = req.get("OwnerAccountId", "")
            made = DelegationRequest(
                id=ctx.new_id(), requestor=ctx.account, workflow=req["RequestorWorkflowId"],
                description=req["Description"], template=template,
                parameters=[dict(one) for one in parameters], policy=checked_document(ctx, policy),
                channel=req["NotificationChannel"], session_seconds=req["SessionDuration"],
                made_at=ctx.now, updated_at=ctx.now, expires_at=ctx.now + _WAITS,
                state=rules.ASSIGNED if owner else rules.UNASSIGNED, owner_account=owner,
                message=req.get("RequestMessage"), redirect=req.get("RedirectUrl"),
                only_owner=req.get("OnlySendByOwner", False), partition=ctx.partition,
            )  # fmt: skip
            await tx.get(DelegationRequest, made.id)
            tx.put(made)
            await tx.schedule(made.expires_at + _WAITS, FORGET, made.id)
        return {"DelegationRequestId": made.id}

    async def associate_delegation_request(
        self, ctx: Context, req: w.AssociateDelegationRequestRequest
    ) -> None:
        """Take a request on: the caller is its owner from now on."""
        async with ctx.write() as tx:
            found = await existing(tx, ctx, req["DelegationRequestId"])
            if found.owner:
                raise InvalidInput(f"The delegation request {found.id} already has an owner.")
            if found.owner_account not in ("", ctx.account):
                raise _missing(found.id)
            _check_state(found, (rules.UNASSIGNED, rules.ASSIGNED))
            await _move(
                tx, ctx, found, rules.ASSIGNED, owner=ctx.caller.arn, owner_account=ctx.account
            )

    async def update_delegation_request(
        self, ctx: Context, req: w.UpdateDelegationRequestRequest
    ) -> None:
        """Say something about a request, and leave it to somebody who may approve it."""
        async with ctx.write() as tx:
            found = await owned(tx, ctx, req["DelegationRequestId"])
            _check_state(found, _OPEN)
            await _move(tx, ctx, found, rules.PENDING, notes=req.get("Notes", found.notes))

    async def accept_delegation_request(
        self, ctx: Context, req: w.AcceptDelegationRequestRequest
    ) -> None:
        """Say yes: the requestor will act as the caller, within the request's permissions."""
        session = await approving_session(ctx)
        async with ctx.write() as tx:
            found = await owned(tx, ctx, req["DelegationRequestId"])
            if found.state not in _OPEN:
                raise ConcurrentModification(_in_state(found))
            await _move(
                tx, ctx, found, rules.ACCEPTED, approver=ctx.caller.arn, approver_session=session
            )

    async def reject_delegation_request(
        self, ctx: Context, req: w.RejectDelegationRequestRequest
    ) -> None:
        """Say no; also to what has been accepted and is not sent yet."""
        async with ctx.write() as tx:
            found = await owned(tx, ctx, req["DelegationRequestId"])
            _check_state(found, (*_OPEN, rules.ACCEPTED))
            await _move(tx, ctx, found, rules.REJECTED, rejection=req.get("Notes"))

    async def send_delegation_token(self, ctx: Context, req: w.SendDelegationTokenRequest) -> None:
        """Let the requestor begin: its token is on its way, and the session's time runs."""
        async with ctx.write() as tx:
            found = await owned(tx, ctx, req["DelegationRequestId"])
            _check_state(found, (rules.ACCEPTED,))
            if found.only_owner and found.owner != ctx.caller.arn:
                raise AccessDenied("Only the owner of the delegation request can send its token.")
            ends = ctx.now + timedelta(seconds=found.session_seconds)
            await _move(tx, ctx, found, rules.FINALIZED, expires_at=ends)

    async def get_delegation_request(
        self, ctx: Context, req: w.GetDelegationRequestRequest
    ) -> w.GetDelegationRequestResponse:
        """A request, and whether the caller could do what it asks for."""
        found = await existing(ctx.read(), ctx, req["DelegationRequestId"])
        shown: dict[str, Any] = {"DelegationRequest": to_wire(found)}
        if req.get("DelegationPermissionCheck"):
            who = access_request(ctx, Need("iam:GetDelegationRequest"), ctx.account)
            shown["PermissionCheckStatus"] = "COMPLETE"
            shown["PermissionCheckResult"] = rules.covered(
                found.policy, who, ctx.caller.policies or PolicySet()
            )
        return shown  # type: ignore[return-value]

    async def list_delegation_requests(
        self, ctx: Context, req: w.ListDelegationRequestsRequest
    ) -> w.ListDelegationRequestsResponse:
        """The requests that somebody in the account has taken on, the newest first."""
        rows = await ctx.read().find(DELEGATED_TO, (ctx.account,), limit=limits.ROWS_MAX)
        mine = [current(row, ctx) for row in rows if req.get("OwnerId", row.owner) == row.owner]
        mine.sort(key=lambda row: (row.made_at, row.id), reverse=True)
        shown = page(req, mine, "DelegationRequests", to_wire, f"delegations/{ctx.account}")
        shown["isTruncated"] = shown.pop("IsTruncated")
        return shown  # type: ignore[return-value]

    async def get_human_readable_summary(
        self, ctx: Context, req: w.GetHumanReadableSummaryRequest
    ) -> w.GetHumanReadableSummaryResponse:
        """What a request asks for, in words, which are made from its policy alone."""
        kind, _, wanted = req["EntityArn"].rpartition("/")
        if not kind.endswith(":delegation-request"):
            raise InvalidInput(f"The entity {req['EntityArn']} is not supported.")
        found = await existing(ctx.read(), ctx, wanted)
        locale = req.get("Locale", "en")
        if locale.partition("-")[0].lower() != "en":
            return {"Locale": locale, "SummaryState": "NOT_SUPPORTED"}
        text = rules.summary(found.policy, found.requestor, found.session_seconds)
        return {"SummaryContent": text, "Locale": locale, "SummaryState": "AVAILABLE"}


async def request_of(reader: Reader, wanted: str) -> DelegationRequest | None:
    """The request of an id, as it was last set."""
    return await reader.get(DelegationRequest, wanted)


async def existing(reader: Reader, ctx: Context, wanted: str) -> DelegationRequest:
    """A request that the caller's account may know of. Raises NoSuchEntity."""
    found = await request_of(reader, wanted)
    if found is None or found.owner_account not in ("", ctx.account):
        raise _missing(wanted)
    return current(found, ctx)


async def owned(reader: Reader, ctx: Context, wanted: str) -> DelegationRequest:
    """A request that somebody in the caller's account has taken on. Raises NoSuchEntity."""
    found = await existing(reader, ctx, wanted)
    if not found.owner:
        raise _missing(wanted)
    return found


def current(found: DelegationRequest, ctx: Context) -> DelegationRequest:
    """A request as it is at this moment."""
    return replace(found, state=rules.EXPIRED) if found.expires_at <= ctx.now else found


def to_wire(found: DelegationRequest) -> dict[str, Any]:
    """A request as IAM shows it."""
    shown: dict[str, Any] = {
        "DelegationRequestId": found.id,
        "OwnerAccountId": found.owner_account or None,
        "Description": found.description,
        "RequestMessage": found.message,
        "Permissions": {"PolicyTemplateArn": found.template, "Parameters": found.parameters},
        "PermissionPolicy": found.policy,
        "RolePermissionRestrictionArns": rules.role_boundaries(found.policy) or None,
        "OwnerId": found.owner or None,
        "ApproverId": found.approver or None,
        "State": found.state,
        "ExpirationTime": found.expires_at,
        "RequestorId": found.requestor,
        "CreateDate": found.made_at,
        "SessionDuration": found.session_seconds,
        "RedirectUrl": found.redirect,
        "Notes": found.notes,
        "RejectionReason": found.rejection,
        "OnlySendByOwner": found.only_owner,
        "UpdatedTime": found.updated_at,
    }
    return {member: value for member, value in shown.items() if value is not None}


async def _move(tx: Tx, ctx: Context, found: DelegationRequest, state: str, **changes: Any) -> None:
    """Set a request's state, and see to it that its requestor is told and that it ends in time."""
    changes.setdefault("expires_at", ctx.now + _WAITS)
    now = replace(found, state=state, updated_at=ctx.now, told=found.told + 1, **changes)
    tx.put(now)
    await tx.schedule(ctx.now, TELL, f"{now.id}/{now.told}", state=state)
    await tx.schedule(now.expires_at + _WAITS, FORGET, now.id)


async def _template(reader: Reader, ctx: Context, arn: str) -> str:
    """A template: the requestor's own managed policy, as it is at this moment."""
    policy = await managed(reader, arn)
    if policy is None or policy.account != ctx.account:
        raise InvalidInput(f"The policy template {arn} does not exist.")
    version = policy.version(policy.default)
    assert version is not None, "a policy has its default version"
    return version.document


def _check_channel(arn: str) -> None:
    parts = arn.split(":")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sns" or not all(parts[3:]):
        raise InvalidInput("The notification channel must be the ARN of an SNS topic.")


def _check_state(found: DelegationRequest, states: tuple[str, ...]) -> None:
    if found.state not in states:
        raise InvalidInput(_in_state(found))


def _in_state(found: DelegationRequest) -> str:
    return f"The delegation request {found.id} is in state {found.state}."


def _missing(wanted: str) -> NoSuchEntity:
    return NoSuchEntity(f"Delegation request {wanted} cannot be found.")
