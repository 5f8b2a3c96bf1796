"""The keys of one multi-Region key: the same id and material, a key of its own in each Region.

What they share is written to all of them in one commit, so they are never seen to differ.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from doppio.kernel.context import Reader, Tx
from doppio.services.kms.errors import UnsupportedOperation
from doppio.services.kms.records import Key


async def others(reader: Reader, key: Key) -> list[Key]:
    """The keys that are the same one in other Regions."""
    if not key.primary:
        return []
    found = []
    for region in (key.primary, *key.replicas):
        if region != key.region:
            other = await reader.get(Key, key.account, region, key.id)
            assert other is not None, "a set of keys names none that is gone"
            found.append(other)
    return found


async def share(tx: Tx, key: Key) -> None:
    """Store a key, and what it shares with its relatives with them, too."""
    for other in await others(tx, key):
        tx.put(
            replace(
                other, rotation_days=key.rotation_days, rotates_at=key.rotates_at,
                primary=key.primary, replicas=key.replicas,
            )
        )  # fmt: skip
    tx.put(key)


async def regroup(tx: Tx, keys: Sequence[Key], primary: str, replicas: Sequence[str]) -> None:
    """Say to all keys of a set which are in it."""
    for key in keys:
        tx.put(replace(key, primary=primary, replicas=list(replicas)))


def leading(key: Key) -> Key:
    """The key, if what its relatives share is its own to change."""
    if key.is_replica:
        raise UnsupportedOperation(
            f"{key.arn} is a multi-Region replica key. This operation is supported on the primary "
            f"key {key.arn_in(key.primary)} alone."
        )
    return key
