"""S3 as browsers see it."""

from __future__ import annotations

from collections.abc import Mapping

from doppio.kernel.context import Context
from doppio.kernel.web import Form, Shown, Visit
from doppio.services.s3 import acceleration, forms, pages


class Browsers:
    """Visitors of websites, and senders of forms."""

    async def visit(self, ctx: Context, visit: Visit) -> Shown:
        """A page of a website; errors are pages, too."""
        return await pages.visit(ctx, visit)

    async def reached(self, ctx: Context, labels: Mapping[str, str], operation: str) -> None:
        """A call came by a `s3-accelerate` host: raise AwsError where that may not be."""
        await acceleration.check_reached(ctx, labels.get("Bucket", ""), operation)

    async def post(self, ctx: Context, form: Form) -> Shown:
        """A form's file becomes an object."""
        return await forms.post(ctx, form)
