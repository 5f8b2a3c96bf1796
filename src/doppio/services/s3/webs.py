"""S3 as browsers see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.web import Form, Shown, Visit
from doppio.services.s3 import acceleration, forms, pages, points


class Browsers:
    """Visitors of websites, and senders of forms."""

    async def visit(self, ctx: Context, visit: Visit) -> Shown:
        """A page of a website; errors are pages, too."""
        return await pages.visit(ctx, visit)

    async def reached(
        self, ctx: Context, host: str, req: Mapping[str, Any], operation: str
    ) -> Mapping[str, Any]:
        """A call came by an `s3-accelerate` host, or one like an access point's: as it is meant."""
        name = req.get("Bucket", "")
        if ".s3-accelerate" in host:
            await acceleration.check_reached(ctx, name, operation)
            return req
        meant = await points.meant_by_host(ctx, name)
        return req if meant == name else {**req, "Bucket": meant}

    async def post(self, ctx: Context, form: Form) -> Shown:
        """A form's file becomes an object."""
        return await forms.post(ctx, form)
