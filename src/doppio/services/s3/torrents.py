"""Torrents: S3 has made none since April 2022, and says so to who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doppio.kernel.context import Context
from doppio.services.s3.errors import MethodNotAllowed
from doppio.services.s3.lookup import version_of

if TYPE_CHECKING:
    from doppio._stubs import s3 as w


class Torrents:
    """What is left of BitTorrent."""

    async def get_object_torrent(
        self, ctx: Context, req: w.GetObjectTorrentRequest
    ) -> w.GetObjectTorrentOutput:
        """Refused for every object, as S3 does since it gave torrents up."""
        reader = ctx.read()
        await version_of(reader, req)
        reader.meter("Requests-Tier2")
        raise MethodNotAllowed(Method="GET", ResourceType="TORRENT")
