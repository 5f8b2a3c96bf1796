"""S3 as browsers see it."""

from __future__ import annotations

from collections.abc import Mapping

from doppio.kernel.context import Context
from doppio.kernel.web import Shown, Visit
from doppio.services.s3 import acceleration, pages


class Browsers:
    """Visitors of websites."""

    async def visit(self, ctx: Context, visit: Visit) -> Shown:
        """A page of a website; errors are pages, too."""
        return await pages.visit(ctx, visit)

    async def reached(self, ctx: Context, labels: Mapping[str, str], operation: str) -> None:
        """A call came by a `s3-accelerate` host: raise AwsError where that may not be."""
        await acceleration.check_reached(ctx, labels.get("Bucket", ""), operation)
