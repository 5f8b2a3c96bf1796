"""When runtimes are updated: here they are this machine's own, so whenever those are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.services.lambda_.names import function_of, named, version_of
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class RuntimeManagement:
    """The operations on runtime management."""

    async def get_runtime_management_config(
        self, ctx: Context, req: w.GetRuntimeManagementConfigRequest
    ) -> w.GetRuntimeManagementConfigResponse:
        """When a version's runtime is updated."""
        return await _shown(ctx, req)  # type: ignore[return-value]

    async def put_runtime_management_config(
        self, ctx: Context, req: w.PutRuntimeManagementConfigRequest
    ) -> w.PutRuntimeManagementConfigResponse:
        """Say that a runtime may be updated whenever there is a newer one."""
        told = await _shown(ctx, req)
        if req["UpdateRuntimeOn"] != "Auto":
            raise NotImplementedByDoppio(
                "A runtime is what this machine has: UpdateRuntimeOn can be Auto alone."
            )
        return told  # type: ignore[return-value]


async def _shown(ctx: Context, req: Mapping[str, Any]) -> dict[str, Any]:
    which = named(ctx, req)
    reader = ctx.read()
    await function_of(reader, which)
    version = await version_of(reader, which, which.qualifier)
    arn = version.function_arn if which.qualifier is None else which.qualified
    return {"UpdateRuntimeOn": "Auto", "FunctionArn": arn}
