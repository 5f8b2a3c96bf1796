"""What a bucket is set to beside its record: documents by kind, and by id where there are several.

The bucket's record names the kinds that it has (`Bucket.kinds`). So the usual request, to a bucket
with none of them, reads nothing more.
"""

from __future__ import annotations

from typing import Any

import msgspec

from doppio.kernel.context import Reader, Tx
from doppio.services.s3.records import Bucket, Setting

# More than AWS allows of any kind (1,000 of each).
_MOST = 1001


async def setting(reader: Reader, bucket: Bucket, kind: str, id: str = "") -> dict[str, Any] | None:  # noqa: A002
    """The document of a kind (and id), as it was put; None where there is none."""
    if kind not in bucket.kinds:
        return None
    found = await reader.get(Setting, bucket.id, kind, id)
    return None if found is None else found.document


async def settings(reader: Reader, bucket: Bucket, kind: str) -> list[Setting]:
    """All of a kind, in the order of their ids."""
    if kind not in bucket.kinds:
        return []
    return await reader.list(Setting, (bucket.id, kind), limit=_MOST)


def put_setting(
    tx: Tx,
    bucket: Bucket,
    kind: str,
    document: dict[str, Any],
    id: str = "",  # noqa: A002
) -> Bucket:
    """Set a document; the bucket as it is then. `bucket` was read in this transaction."""
    tx.put(Setting(bucket=bucket.id, kind=kind, id=id, document=document))
    if kind in bucket.kinds:
        return bucket
    return tx.put(msgspec.structs.replace(bucket, kinds=sorted([*bucket.kinds, kind])))


async def drop_setting(tx: Tx, bucket: Bucket, kind: str, id: str = "") -> bool:  # noqa: A002
    """Forget a document; whether there was one."""
    found = await tx.get(Setting, bucket.id, kind, id)
    if found is None:
        return False
    tx.delete(found)
    if not await tx.list(Setting, (bucket.id, kind), limit=1):
        left = [one for one in bucket.kinds if one != kind]
        tx.put(msgspec.structs.replace(bucket, kinds=left))
    return True


async def drop_settings(tx: Tx, bucket: Bucket) -> None:
    """Forget all documents of a bucket that goes."""
    for kind in bucket.kinds:
        for found in await tx.list(Setting, (bucket.id, kind), limit=_MOST):
            tx.delete(found)
