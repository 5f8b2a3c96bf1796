"""The accounts of an organisation: seen, moved, let go and closed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.paging import page_of
from doppio.services.iam.ports import close_account as close_identities
from doppio.services.organizations import govcloud, limits, tree
from doppio.services.organizations.errors import (
    AccountAlreadyClosed,
    Conflict,
    DestinationParentNotFound,
    DuplicateAccount,
    MasterCannotLeave,
    SourceParentNotFound,
    violation,
)
from doppio.services.organizations.membership import dismiss, move, told
from doppio.services.organizations.records import (
    ALL,
    MEMBERS,
    PENDING_CLOSURE,
    SUSPENDED,
    Account,
    Delegate,
    Organization,
)
from doppio.services.organizations.units import accounts_below

if TYPE_CHECKING:
    from doppio._stubs import organizations as w

CLOSE = "organizations.close"
VANISH = "organizations.vanish"


async def to_wire(
    reader: Reader, organization: Organization, account: Account, *, path: bool = True
) -> dict[str, Any]:
    """An account as it is shown."""
    shown: dict[str, Any] = {
        "Id": account.id,
        "Arn": tree.arn_of(organization, account.id),
        "Email": account.email,
        "Name": account.name,
        "Status": account.status,
        "State": account.status,
        "JoinedMethod": account.joined,
        "JoinedTimestamp": account.joined_at,
    }
    if path:
        shown["Paths"] = [await tree.path(reader, organization, account.id)]
    return shown


class Accounts:
    """The operations on accounts that are in an organisation."""

    async def describe_account(
        self, ctx: Context, req: w.DescribeAccountRequest
    ) -> w.DescribeAccountResponse:
        """One account."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        account = await tree.member(reader, organization, req["AccountId"])
        return {"Account": await to_wire(reader, organization, account)}  # type: ignore[typeddict-item]

    async def list_accounts(
        self, ctx: Context, req: w.ListAccountsRequest
    ) -> w.ListAccountsResponse:
        """All accounts, by their ids."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        scope, most = f"members/{organization.id}", tree.size(req)
        shown, token = await page_of(
            reader,
            MEMBERS,
            (organization.id,),
            most=most,
            scope=scope,
            after=tree.after(req, scope),
        )
        accounts = [await to_wire(reader, organization, account) for account in shown]
        return {"Accounts": accounts, **tree.next_token(token)}  # type: ignore[typeddict-item]

    async def list_accounts_for_parent(
        self, ctx: Context, req: w.ListAccountsForParentRequest
    ) -> w.ListAccountsForParentResponse:
        """The accounts directly below the root or a unit."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        await tree.parent(reader, organization, req["ParentId"])
        found, token = await accounts_below(reader, organization, req)
        accounts = [await to_wire(reader, organization, account) for account in found]
        return {"Accounts": accounts, **token}  # type: ignore[typeddict-item]

    async def move_account(self, ctx: Context, req: w.MoveAccountRequest) -> None:
        """Put an account below another parent; what binds it there counts at once."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            account = await tree.member(tx, organization, req["AccountId"])
            there, here = req["DestinationParentId"], req["SourceParentId"]
            await tree.parent(tx, organization, here, SourceParentNotFound)
            await tree.parent(tx, organization, there, DestinationParentNotFound)
            if account.parent == there:
                raise DuplicateAccount()
            if account.parent != here:
                raise SourceParentNotFound()
            await move(tx, organization, account, there)

    async def remove_account_from_organization(
        self, ctx: Context, req: w.RemoveAccountFromOrganizationRequest
    ) -> None:
        """Let an account go, which stands for itself from then on."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            account = await tree.member(tx, organization, req["AccountId"])
            await check_may_go(tx, organization, account)
            await dismiss(tx, organization, account)

    async def leave_organization(self, ctx: Context, req: dict[str, Any]) -> None:
        """Go: what a member account does by itself."""
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            account = await tree.member(tx, organization, ctx.account)
            await check_may_go(tx, organization, account)
            await dismiss(tx, organization, account, "LEFT")

    async def close_account(self, ctx: Context, req: w.CloseAccountRequest) -> None:
        """Close a member account: nobody in it may do anything, and in 90 days it is gone.

        The account in GovCloud that was made with it is closed with it, and only so.
        """
        govcloud.check_not_govcloud(ctx.partition)
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            account = await tree.member(tx, organization, req["AccountId"])
            if organization.features != ALL:
                raise violation(
                    "ORGANIZATION_NOT_IN_ALL_FEATURES_MODE",
                    "The organization must have all features enabled.",
                )
            if account.id == organization.master:
                raise violation(
                    "CANNOT_CLOSE_MANAGEMENT_ACCOUNT",
                    "You cannot close the management account of an organization.",
                )
            if account.status == SUSPENDED:
                raise AccountAlreadyClosed()
            if account.status == PENDING_CLOSURE:
                raise Conflict("The account is already being closed.")
            await check_delegated(tx, organization, account)
            await _check_closures(tx, organization)
            tx.put(replace(account, status=PENDING_CLOSURE, closed_at=ctx.now))
            await tx.schedule(ctx.now, CLOSE, account.id)


async def check_may_go(tx: Tx, organization: Organization, account: Account) -> None:
    """Raise where an account must stay: the management account, and a very young one."""
    if account.id == organization.master:
        raise MasterCannotLeave()
    await check_delegated(tx, organization, account)
    now = tx.context.now
    if account.created_at is not None and now < account.created_at + limits.WAIT_PERIOD:
        raise violation(
            "WAIT_PERIOD_ACTIVE",
            "This operation requires a wait period. Try again later: you must wait until at least "
            "four days after the account was created.",
        )


async def check_delegated(tx: Tx, organization: Organization, account: Account) -> None:
    """Raise where an account is a delegated administrator."""
    if await tx.list(Delegate, (organization.id, account.id), limit=1):
        raise violation(
            "CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG",
            "The account is registered as a delegated administrator for a service integrated with "
            "your organization. You must deregister it first.",
        )


async def _check_closures(tx: Tx, organization: Organization) -> None:
    """Raise where too many accounts were closed within 30 days."""
    members = await tx.find(MEMBERS, (organization.id,), limit=limits.ROWS_MAX)
    share = len(members) * limits.CLOSED_PERCENT // 100
    most = min(max(limits.CLOSED_LEAST, share), limits.CLOSED_MOST)
    since = tx.context.now - limits.CLOSE_WINDOW
    closed = [one for one in members if one.closed_at is not None and one.closed_at > since]
    if len(closed) >= most:
        raise violation(
            "CLOSE_ACCOUNT_QUOTA_EXCEEDED",
            "You have exceeded close account quota for the past 30 days.",
        )


async def close(ctx: Context, job: Job) -> None:
    """Suspend an account that is to be closed; IAM refuses everybody in it from here on."""
    async with ctx.write() as tx:
        account = await tx.get(Account, job.key)
        if account is None or account.status != PENDING_CLOSURE or account.closed_at is None:
            return
        await _suspend(tx, account, account.closed_at)
        if (paired := await govcloud.paired(tx, account.id)) is not None:
            await _suspend(*paired, account.closed_at)
        status = {
            "accountId": account.id, "state": "SUCCEEDED", "requestedTimestamp": str(job.at),
            "completedTimestamp": str(ctx.now),
        }  # fmt: skip
        await told(tx, ctx.account, "CloseAccountResult", {"closeAccountStatus": status})


async def _suspend(tx: Tx, account: Account, at: datetime) -> None:
    """Let nobody in an account do anything any more; it was closed at that time."""
    tx.put(replace(account, status=SUSPENDED, closed_at=at))
    await close_identities(tx, account.id)
    await tx.schedule(at + limits.CLOSED_FOR, VANISH, account.id)


async def vanish(ctx: Context, job: Job) -> None:
    """The 90 days are over: the account leaves its organisation for good."""
    async with ctx.write() as tx:
        account, organization = await tree.membership(tx, job.key)
        if account is None or organization is None or account.status != SUSPENDED:
            return
        if organization.master == account.id:
            # Of an organisation in GovCloud: it stays as long as that does.
            return
        if ctx.clock.now() < (account.closed_at or ctx.now) + limits.CLOSED_FOR:
            return
        await dismiss(tx, organization, account, "CLEANED")
