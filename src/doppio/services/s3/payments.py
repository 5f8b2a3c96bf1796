"""Whether a bucket's requesters pay for what they ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from doppio.kernel.context import Context
from doppio.services.s3.errors import MalformedXML
from doppio.services.s3.lookup import existing_bucket

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_OWNER, _REQUESTER = "BucketOwner", "Requester"


class Payments:
    """PutBucketRequestPayment and its like."""

    async def put_bucket_request_payment(
        self, ctx: Context, req: w.PutBucketRequestPaymentRequest
    ) -> None:
        """Let the requesters pay, or the owner again; it counts for the next request."""
        payer = req["RequestPaymentConfiguration"].get("Payer")
        if payer not in {_OWNER, _REQUESTER}:
            raise MalformedXML
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            tx.put(msgspec.structs.replace(bucket, requester_pays=payer == _REQUESTER))
            tx.meter("Requests-Tier1")

    async def get_bucket_request_payment(
        self, ctx: Context, req: w.GetBucketRequestPaymentRequest
    ) -> w.GetBucketRequestPaymentOutput:
        """Who pays; the owner, where nothing was said."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        return {"Payer": _REQUESTER if bucket.requester_pays else _OWNER}
