"""How much an account keeps in a Region: what its limits are about, and what it is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.quotas import quota
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import CodeStorageExceeded
from doppio.services.lambda_.records import Holdings

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w

_GB = 1024**3


class Account:
    """The operation on an account."""

    async def get_account_settings(
        self, ctx: Context, req: w.GetAccountSettingsRequest
    ) -> w.GetAccountSettingsResponse:
        """What the account may have in the Region, and what it has."""
        reader = ctx.read()
        held = await reader.get(Holdings, ctx.account, ctx.region)
        held = held or Holdings(account=ctx.account, region=ctx.region)
        concurrent = await quota(reader, limits.CONCURRENT_EXECUTIONS)
        return {
            "AccountLimit": {
                "TotalCodeSize": await quota(reader, limits.CODE_STORAGE_GB) * _GB,
                "CodeSizeUnzipped": limits.UNZIPPED_BYTES_MAX,
                "CodeSizeZipped": limits.ZIPPED_BYTES_MAX,
                "ConcurrentExecutions": concurrent,
                "UnreservedConcurrentExecutions": concurrent - held.reserved,
            },
            "AccountUsage": {"TotalCodeSize": held.code_bytes, "FunctionCount": held.functions},
        }


async def hold(
    tx: Tx, account: str, region: str, *, code_bytes: int = 0, functions: int = 0, reserved: int = 0
) -> None:
    """Count what comes or goes. Raises CodeStorageExceededException where more code comes than fits.

    Each version counts the code that it has, as AWS does, also where others have the same.
    """
    old = await tx.get(Holdings, account, region) or Holdings(account=account, region=region)
    new = replace(
        old,
        code_bytes=old.code_bytes + code_bytes,
        functions=old.functions + functions,
        reserved=old.reserved + reserved,
    )
    if code_bytes > 0:
        most = await quota(tx, limits.CODE_STORAGE_GB, account=account, region=region)
        if new.code_bytes > most * _GB:
            raise CodeStorageExceeded
    tx.put(new)
