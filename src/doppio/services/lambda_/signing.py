"""Code signing: which configuration a function has. There are none, so no function has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doppio.kernel.context import Context
from doppio.services.lambda_.names import function_of, named

if TYPE_CHECKING:
    from doppio._stubs import lambda_ as w


class Signing:
    """The one operation on code signing that there is: tools ask it of each function."""

    async def get_function_code_signing_config(
        self, ctx: Context, req: w.GetFunctionCodeSigningConfigRequest
    ) -> w.GetFunctionCodeSigningConfigResponse:
        """The code signing configuration of a function: none."""
        function = await function_of(ctx.read(), named(ctx, req))
        return {"FunctionName": function.name}
