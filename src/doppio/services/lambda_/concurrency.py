"""Reserved concurrency: what a function has for itself, and may not exceed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.quotas import quota
from doppio.services.lambda_ import limits
from doppio.services.lambda_.errors import InvalidParameterValue
from doppio.services.lambda_.holdings import hold
from doppio.services.lambda_.names import Named, function_of, named
from doppio.services.lambda_.records import Holdings

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class Concurrency:
    """The operations on reserved concurrency."""

    async def put_function_concurrency(
        self, ctx: Context, req: w.PutFunctionConcurrencyRequest
    ) -> w.Concurrency:
        """Reserve so many executions for a function; with 0 it does not run at all."""
        which = named(ctx, req)
        wanted = req["ReservedConcurrentExecutions"]
        async with ctx.write() as tx:
            most = await quota(tx, limits.CONCURRENT_EXECUTIONS)
            held = await tx.get(Holdings, which.account, which.region)
            function = await function_of(tx, which)
            others = (0 if held is None else held.reserved) - (function.reserved or 0)
            if wanted and most - others - wanted < limits.UNRESERVED_EXECUTIONS_MIN:
                raise InvalidParameterValue(
                    "Specified ReservedConcurrentExecutions for function decreases account's "
                    "UnreservedConcurrentExecution below its minimum value of "
                    f"[{limits.UNRESERVED_EXECUTIONS_MIN}]."
                )
            await _reserve(tx, which, wanted)
        return {"ReservedConcurrentExecutions": wanted}

    async def get_function_concurrency(
        self, ctx: Context, req: w.GetFunctionConcurrencyRequest
    ) -> w.GetFunctionConcurrencyResponse:
        """What a function has reserved, if it has."""
        function = await function_of(ctx.read(), named(ctx, req))
        if function.reserved is None:
            return {}
        return {"ReservedConcurrentExecutions": function.reserved}

    async def delete_function_concurrency(
        self, ctx: Context, req: w.DeleteFunctionConcurrencyRequest
    ) -> None:
        """Let a function share what nobody has reserved."""
        async with ctx.write() as tx:
            await _reserve(tx, named(ctx, req), None)


async def _reserve(tx: Tx, which: Named, wanted: int | None) -> None:
    function = await function_of(tx, which)
    change = (wanted or 0) - (function.reserved or 0)
    await hold(tx, function.account, function.region, reserved=change)
    tx.put(replace(function, reserved=wanted))
