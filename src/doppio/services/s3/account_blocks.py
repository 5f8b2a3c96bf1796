"""What an account blocks of public access in all its buckets.

It bounds each bucket beside the bucket's own block. Requests must not pay for it: so every bucket
holds a copy, which changes in the commit that changes the account's.
"""

from __future__ import annotations

import msgspec

from doppio.kernel.context import Reader, Tx, index_row_key
from doppio.services.s3.policies import tell_policy
from doppio.services.s3.records import OWNED, AccountBlock

BUCKETS_A_STEP = 500


async def account_block(reader: Reader, account: str) -> dict[str, bool] | None:
    """What an account blocks; None where it has said nothing."""
    found = await reader.get(AccountBlock, account)
    return None if found is None else found.settings


async def block_account(tx: Tx, account: str, settings: dict[str, bool] | None) -> None:
    """Let an account block public access, or nothing any more, in all the buckets it has."""
    if settings is None:
        tx.delete(AccountBlock(account=account, settings={}))
    else:
        tx.put(AccountBlock(account=account, settings=settings))
    after: bytes | None = None
    while buckets := await tx.find(OWNED, (account,), after=after, limit=BUCKETS_A_STEP):
        for bucket in buckets:
            tell_policy(tx, msgspec.structs.replace(bucket, account_block=settings))
        after = index_row_key(OWNED, buckets[-1])
