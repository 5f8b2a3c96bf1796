"""Accounts in AWS GovCloud (US), each paired with a commercial one: the one thing that two partitions share.

A pair is made together, and closed together. An account that nobody has made is in every partition under its
number, so that it has been paired for ever: the management account's own needs no signing up.
"""

from __future__ import annotations

from doppio.kernel.context import Reader, Tx
from doppio.kernel.regions import HOMES
from doppio.services.organizations.errors import UnsupportedEndpoint, violation
from doppio.services.organizations.records import BY_EMAIL, Account, Organization, Pair

PARTITION = "aws-us-gov"


def check_commercial(partition: str) -> None:
    """Raise UnsupportedAPIEndpoint outside of the partition from which accounts are made in pairs."""
    if partition != "aws":
        raise UnsupportedEndpoint()


def check_not_govcloud(partition: str) -> None:
    """Raise UnsupportedAPIEndpoint in GovCloud, whose accounts come and go with commercial ones."""
    if partition == PARTITION:
        raise UnsupportedEndpoint()


def in_govcloud(tx: Tx) -> Tx:
    """The same transaction as GovCloud sees it."""
    context = tx.context
    return tx.elsewhere(context.derive(context.caller, region=HOMES[PARTITION]))


async def govcloud_of(reader: Reader, account: str) -> str | None:
    """The GovCloud account of a commercial one; None where it has none."""
    pair = await reader.get(Pair, account)
    if pair is not None:
        return pair.govcloud
    row = await reader.get(Account, account)
    return account if row is None or row.created_at is None else None


async def checked_govcloud_of(reader: Reader, organization: Organization) -> str:
    """The GovCloud account of the management account. Raises ConstraintViolation where it has none."""
    found = await govcloud_of(reader, organization.master)
    if found is None:
        raise violation(
            "MASTER_ACCOUNT_NOT_GOVCLOUD_ENABLED",
            "To complete this operation, the management account must have an associated account in "
            "the AWS GovCloud (US-West) Region.",
        )
    return found


async def is_taken(tx: Tx, email: str) -> bool:
    """Whether an account in GovCloud has this address."""
    return bool(await in_govcloud(tx).find(BY_EMAIL, (email,), limit=1))


async def pair(tx: Tx, commercial: Account, govcloud: str) -> Tx:
    """Make the GovCloud account of a commercial one, in nobody's organisation; the transaction there."""
    tx.put(Pair(account=commercial.id, govcloud=govcloud))
    there = in_govcloud(tx)
    await there.get(Account, govcloud)
    there.put(
        Account(
            id=govcloud, name=commercial.name, email=commercial.email, created_at=tx.context.now
        )
    )
    return there


async def paired(tx: Tx, commercial: str) -> tuple[Tx, Account] | None:
    """The GovCloud account that was made with a commercial one, and the transaction there."""
    found = await tx.get(Pair, commercial)
    if found is None:
        return None
    there = in_govcloud(tx)
    account = await there.get(Account, found.govcloud)
    assert account is not None, "a pair is made in one commit"
    return there, account
