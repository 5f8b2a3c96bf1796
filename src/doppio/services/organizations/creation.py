"""Accounts that an organisation makes: asked for, made by a job, and reported on.

A new account is one of this cloud like any other, and nobody's but the organisation's: what lets
people in is the role that the management account may assume, which is in the commit that makes it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.kernel.quotas import quota
from doppio.kernel.regions import home_of
from doppio.services.iam.ports import found_account, make_role
from doppio.services.organizations import govcloud, limits, tree
from doppio.services.organizations.errors import CreateAccountStatusNotFound, violation
from doppio.services.organizations.membership import admit, told
from doppio.services.organizations.records import (
    BY_EMAIL,
    MEMBERS,
    RUNNING,
    Account,
    Creation,
    Organization,
)
from doppio.services.organizations.tagging import new_tags

if TYPE_CHECKING:
    from doppio._stubs import organizations as w

MAKE = "organizations.make"
ROLE = "OrganizationAccountAccessRole"


def to_wire(creation: Creation) -> dict[str, Any]:
    """What became of a request for an account."""
    shown: dict[str, Any] = {
        "Id": creation.id,
        "AccountName": creation.name,
        "State": "IN_PROGRESS",
        "RequestedTimestamp": creation.at,
    }
    if creation.done_at is not None:
        shown["CompletedTimestamp"] = creation.done_at
        shown["State"] = "SUCCEEDED" if creation.failure is None else "FAILED"
        if creation.failure is None:
            shown["AccountId"] = creation.account
            if creation.govcloud is not None:
                shown["GovCloudAccountId"] = creation.govcloud
        else:
            shown["FailureReason"] = creation.failure
    return shown


class Creations:
    """The operations that make accounts."""

    async def create_account(
        self, ctx: Context, req: w.CreateAccountRequest
    ) -> w.CreateAccountResponse:
        """Ask for an account; it is made soon after, and its status tells when."""
        govcloud.check_not_govcloud(ctx.partition)
        async with ctx.write() as tx:
            creation = await _asked(tx, await tree.own(tx, ctx), req)
        return {"CreateAccountStatus": to_wire(creation)}  # type: ignore[typeddict-item]

    async def create_gov_cloud_account(
        self, ctx: Context, req: w.CreateGovCloudAccountRequest
    ) -> w.CreateGovCloudAccountResponse:
        """Ask for two accounts: a member of the organisation, and a standalone one in GovCloud.

        Who may assume the role in GovCloud is the management account's account there.
        """
        govcloud.check_commercial(ctx.partition)
        async with ctx.write() as tx:
            organization = await tree.own(tx, ctx)
            await govcloud.checked_govcloud_of(tx, organization)
            creation = await _asked(tx, organization, req, paired=True)
        return {"CreateAccountStatus": to_wire(creation)}  # type: ignore[typeddict-item]

    async def describe_create_account_status(
        self, ctx: Context, req: w.DescribeCreateAccountStatusRequest
    ) -> w.DescribeCreateAccountStatusResponse:
        """What became of a request."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        found = await reader.get(Creation, organization.id, req["CreateAccountRequestId"])
        if found is None or _is_old(ctx, found):
            raise CreateAccountStatusNotFound()
        return {"CreateAccountStatus": to_wire(found)}  # type: ignore[typeddict-item]

    async def list_create_account_status(
        self, ctx: Context, req: w.ListCreateAccountStatusRequest
    ) -> w.ListCreateAccountStatusResponse:
        """The requests of the last 90 days, those in the states that are asked for."""
        reader = ctx.read()
        organization = await tree.own(reader, ctx)
        rows = await reader.list(Creation, (organization.id,), limit=limits.ROWS_MAX)
        shown = [(row.id, to_wire(row)) for row in rows if not _is_old(ctx, row)]
        states = req.get("States")
        if states:
            shown = [row for row in shown if row[1]["State"] in states]
        scope = f"creations/{organization.id}/{states}"
        return tree.page(req, shown, "CreateAccountStatuses", scope)  # type: ignore[return-value]


async def _asked(
    tx: Tx,
    organization: Organization,
    req: w.CreateAccountRequest | w.CreateGovCloudAccountRequest,
    *,
    paired: bool = False,
) -> Creation:
    """Keep what was asked for, and have it made."""
    ctx = tx.context
    running = await tx.find(RUNNING, (organization.id, True), limit=limits.CREATIONS_AT_ONCE_MAX)
    if len(running) >= limits.CREATIONS_AT_ONCE_MAX:
        raise violation(
            "ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED",
            "You have exceeded the number of account creations that can be in progress at one time.",
        )
    await check_room(tx, organization, len(running))
    creation = tx.add(
        Creation(
            organization=organization.id, id=ctx.new_id("create-account"),
            account=await _new_account(tx), name=req["AccountName"], email=req["Email"],
            role=req.get("RoleName") or ROLE, at=ctx.now, tags=new_tags(req.get("Tags", ())),
            govcloud=await _new_account(govcloud.in_govcloud(tx)) if paired else None,
        )
    )  # fmt: skip
    await tx.schedule(ctx.now, MAKE, f"{organization.id}/{creation.id}")
    return creation


async def check_room(tx: Tx, organization: Organization, coming: int = 0) -> None:
    """Raise ConstraintViolation where an organisation has no room for one more account."""
    region = home_of(tx.context.region)
    most = await quota(tx, limits.ACCOUNTS, account=organization.master, region=region)
    members = await tx.find(MEMBERS, (organization.id,), limit=most + 1)
    if len(members) + coming >= most:
        raise violation(
            "ACCOUNT_NUMBER_LIMIT_EXCEEDED",
            "You have exceeded the allowed number of AWS accounts.",
        )


async def _new_account(tx: Tx) -> str:
    """The id of an account that nobody has made yet."""
    while True:
        name = tx.context.new_id("account")
        if not name.startswith("0") and await tx.get(Account, name) is None:
            return name


def _is_old(ctx: Context, creation: Creation) -> bool:
    return creation.at < ctx.now - limits.CREATION_KEPT


async def make(ctx: Context, job: Job) -> None:
    """Make the account that was asked for, with the role that lets the management account in."""
    async with ctx.write() as tx:
        creation = await tx.get(Creation, *job.key.split("/"))
        if creation is None or creation.done_at is not None:
            return
        organization = await tx.get(Organization, creation.organization)
        assert organization is not None, "its requests go with it"
        failure = await _hindrance(tx, creation)
        done = tx.put(replace(creation, running=None, done_at=ctx.now, failure=failure))
        if failure is None:
            await _make(tx, organization, creation)
        status = {"id": done.id, "accountName": done.name, "state": to_wire(done)["State"]}
        status |= {"accountId": done.account} if failure is None else {"failureReason": failure}
        if failure is None and done.govcloud is not None:
            status["govCloudAccountId"] = done.govcloud
        await told(tx, organization.master, "CreateAccountResult", {"createAccountStatus": status})


async def _hindrance(tx: Tx, creation: Creation) -> str | None:
    """Why an account cannot be made; None where it can."""
    if await tx.find(BY_EMAIL, (creation.email,), limit=1):
        return "EMAIL_ALREADY_EXISTS"
    if creation.govcloud is not None and await govcloud.is_taken(tx, creation.email):
        return "GOVCLOUD_ACCOUNT_ALREADY_EXISTS"
    return None


async def _make(tx: Tx, organization: Organization, creation: Creation) -> None:
    account = Account(
        id=creation.account, name=creation.name, email=creation.email, joined="CREATED",
        created_at=tx.context.now, tags=creation.tags,
    )  # fmt: skip
    await admit(tx, organization, account)
    found_account(tx, account.id)
    await _let_in(tx, account.id, creation.role, organization.master)
    if creation.govcloud is not None:
        there = await govcloud.pair(tx, account, creation.govcloud)
        found_account(there, creation.govcloud)
        master = await govcloud.checked_govcloud_of(tx, organization)
        await _let_in(there, creation.govcloud, creation.role, master)


async def _let_in(tx: Tx, account: str, role: str, master: str) -> None:
    """Make the role in an account by which another one's users get in, and may do everything."""
    partition = tx.context.partition
    principal = f"arn:{partition}:iam::{master}:root"
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
        ],
    }
    administrator = f"arn:{partition}:iam::aws:policy/AdministratorAccess"
    await make_role(tx, account, role, json.dumps(trust), (administrator,))
