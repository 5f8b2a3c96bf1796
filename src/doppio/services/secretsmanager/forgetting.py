"""Forgetting a secret: with its versions, its policy and its timers."""

from __future__ import annotations

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Tx
from doppio.services.secretsmanager import limits
from doppio.services.secretsmanager.records import Secret, Version

PURGE = "secretsmanager.purge"
ROTATE = "secretsmanager.rotate"


async def forget(tx: Tx, secret: Secret) -> None:
    """Forget a secret at once."""
    # More versions than these nobody has: those without a label go when there are a hundred.
    for version in await tx.list(Version, (secret.arn,), limit=10 * limits.VERSIONS_MAX):
        tx.delete(version)
    tx.delete(secret)
    forget_resource(tx, secret.arn)
    for job in (PURGE, ROTATE):
        await tx.unschedule(job, secret.arn)
