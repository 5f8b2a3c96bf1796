"""S3 as browsers see it."""

from __future__ import annotations

from doppio.kernel.context import Context
from doppio.kernel.web import Shown, Visit
from doppio.services.s3 import pages


class Browsers:
    """Visitors of websites."""

    async def visit(self, ctx: Context, visit: Visit) -> Shown:
        """A page of a website; errors are pages, too."""
        return await pages.visit(ctx, visit)
