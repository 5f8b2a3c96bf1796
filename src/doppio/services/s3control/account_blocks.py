"""The account's block of public access: it acts in S3, in all the account's buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from doppio.kernel.context import Context
from doppio.services.s3.ports import SETTINGS, account_block, block_account
from doppio.services.s3control.errors import NoSuchPublicAccessBlockConfiguration

if TYPE_CHECKING:
    from doppio._stubs import s3control as w


class AccountBlocks:
    """PutPublicAccessBlock and its like."""

    async def put_public_access_block(
        self, ctx: Context, req: w.PutPublicAccessBlockRequest
    ) -> None:
        """Bound what all buckets of the account may grant the public; what is not named is off."""
        wanted = req["PublicAccessBlockConfiguration"]
        async with ctx.write() as tx:
            await block_account(
                tx, ctx.account, {name: bool(wanted.get(name)) for name in SETTINGS}
            )

    async def get_public_access_block(
        self, ctx: Context, req: w.GetPublicAccessBlockRequest
    ) -> w.GetPublicAccessBlockOutput:
        """What the account blocks. An account begins without a block."""
        block = await account_block(ctx.read(), ctx.account)
        if block is None:
            raise NoSuchPublicAccessBlockConfiguration(AccountId=ctx.account)
        return {"PublicAccessBlockConfiguration": cast("w.PublicAccessBlockConfiguration", block)}

    async def delete_public_access_block(
        self, ctx: Context, req: w.DeletePublicAccessBlockRequest
    ) -> None:
        """Leave it to the buckets' own blocks; no block is no error."""
        async with ctx.write() as tx:
            await block_account(tx, ctx.account, None)
