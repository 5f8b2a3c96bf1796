"""Who is in an organisation: how accounts come in, move and go, whatever the reason."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.guardrails import Place, forget_place, put_place
from doppio.kernel.listening import tell
from doppio.kernel.regions import home_of
from doppio.services.iam.ports import linked_arn, make_linked_role, role_of
from doppio.services.organizations import migration, tree
from doppio.services.organizations.consequences import follow_account, release
from doppio.services.organizations.errors import AccessDeniedForDependency
from doppio.services.organizations.guarding import begin, end
from doppio.services.organizations.records import ALL, Account, Organization
from doppio.wire.errors import AccessDenied

KIND = "AWS Service Event via CloudTrail"


async def told(tx: Tx, master: str, name: str, details: dict[str, Any]) -> None:
    """Tell EventBridge in the management account what has happened, as CloudTrail's event."""
    region = home_of(tx.context.region)
    detail = {
        "eventVersion": "1.11",
        "eventSource": "organizations.amazonaws.com",
        "eventName": name,
        "eventType": "AwsServiceEvent",
        "awsRegion": region,
        "eventTime": _stamp(tx.context.clock.now()),
        "recipientAccountId": master,
        "serviceEventDetails": details,
    }
    await tell(tx, (master, region), "aws.organizations", KIND, detail)


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


async def check_linked_role(tx: Tx, ctx: Context, organization: Organization) -> None:
    """Raise AccessDeniedForDependency where the caller may not have Organizations' role made.

    It is made in every account of an organisation that has all features.
    """
    arn = linked_arn(ctx.partition, ctx.account, migration.LINKED, None)
    if organization.features != ALL or await role_of(tx, arn) is not None:
        return
    keys = {"iam:awsservicename": migration.LINKED}
    try:
        await ctx.authorise("iam:CreateServiceLinkedRole", arn, keys)
    except AccessDenied as error:
        reason = "ACCESS_DENIED_DURING_CREATE_SERVICE_LINKED_ROLE"
        raise AccessDeniedForDependency(Reason=reason) from error


async def admit(tx: Tx, organization: Organization, account: Account) -> Account:
    """Take an account in, below the root."""
    now = tx.context.now
    await tx.get(Account, account.id)
    joined = tx.put(
        replace(account, organization=organization.id, parent=organization.root, joined_at=now)
    )
    await stand(tx, organization, joined)
    await begin(tx, organization, joined.id)
    await follow_account(tx, organization, joined.id)
    if organization.features == ALL:
        await make_linked_role(tx, account.id, migration.LINKED)
    details = {
        "accountId": account.id, "joinedMethod": account.joined, "joinedTime": _stamp(now),
        "organizationId": organization.id,
    }  # fmt: skip
    await told(tx, organization.master, "AccountJoinedOrganization", details)
    return joined


async def dismiss(
    tx: Tx, organization: Organization, account: Account, method: str = "REMOVED"
) -> Account:
    """Let an account go: it is its own again, without the tags that it had here."""
    await tx.get(Account, account.id)
    gone = tx.put(replace(account, organization=None, parent=None, joined_at=None, tags={}))
    forget_place(tx, account.id)
    await release(tx, organization, account.id)
    await migration.gone(tx, organization, account)
    await end(tx, organization, account.id)
    details = {
        "accountId": account.id, "departureMethod": method, "organizationId": organization.id,
        "departureTime": _stamp(tx.context.clock.now()),
    }  # fmt: skip
    await told(tx, organization.master, "AccountDepartedOrganization", details)
    return gone


async def move(tx: Tx, organization: Organization, account: Account, parent: str) -> None:
    """Put an account below another parent."""
    await stand(tx, organization, tx.put(replace(account, parent=parent)))
    await follow_account(tx, organization, account.id)


async def stand(tx: Tx, organization: Organization, account: Account) -> None:
    """Tell the kernel where an account stands: what hangs above it binds it from the commit on."""
    put_place(
        tx,
        Place(
            account=account.id,
            organization=organization.id,
            path=await tree.chain(tx, organization, account.id),
            master=organization.master,
            management=account.id == organization.master,
        ),
    )
