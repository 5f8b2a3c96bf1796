"""Reading lines: a stream's by pages to and fro, a group's by what they say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import page_token
from doppio.services.logs import limits
from doppio.services.logs.errors import InvalidParameter
from doppio.services.logs.groups import position
from doppio.services.logs.lines import Event, first_id, minutes
from doppio.services.logs.lookup import existing, existing_stream, group_name, milliseconds
from doppio.services.logs.patterns import BadPattern, Matcher, compiled
from doppio.services.logs.records import Group
from doppio.services.logs.retention import oldest_kept

if TYPE_CHECKING:
    from doppio._stubs import logs as w

_TOKEN = re.compile(r"([fb])/(\d{56})/s")
# The last moment that a key of ours is asked for.
_END = 1 << 43


class Reading:
    """The operations that read lines."""

    async def get_log_events(
        self, ctx: Context, req: w.GetLogEventsRequest
    ) -> w.GetLogEventsResponse:
        """A page of a stream, by default its end; tokens lead on and back for ever.

        Where nothing more is, the token that was brought is given back.
        """
        reader = ctx.read()
        group = await existing(reader, group_name(ctx, req))
        stream = await existing_stream(reader, group, req["logStreamName"])
        since, until = _times(ctx, group, req)
        low, high, backwards = first_id(since), first_id(until), not req.get("startFromHead")
        given = req.get("nextToken")
        if given:
            found = _TOKEN.fullmatch(given)
            if found is None:
                raise InvalidParameter("The specified nextToken is invalid.")
            backwards = found[1] == "b"
            if backwards:
                high = min(high, int(found[2]))
            else:
                low = max(low, int(found[2]) + 1)
        shown = await _page(
            reader, group, stream.id, low, high, req.get("limit", limits.EVENTS_A_PAGE_MAX),
            backwards=backwards,
        )  # fmt: skip
        place = low - 1 if not backwards else high
        if not given and not shown:
            # Nothing yet: what comes later lies ahead of this token.
            place = max(first_id(since) - 1, 0)
        ahead = shown[-1].id if shown else place
        back = shown[0].id if shown else place
        ctx.read().meter("Requests-Read")
        told = {
            "events": [
                {"timestamp": one.at, "message": one.text, "ingestionTime": one.ingested_at}
                for one in shown
            ],
            "nextForwardToken": f"f/{ahead:056d}/s",
            "nextBackwardToken": f"b/{back:056d}/s",
        }
        return cast("w.GetLogEventsResponse", told)

    async def filter_log_events(
        self, ctx: Context, req: w.FilterLogEventsRequest
    ) -> w.FilterLogEventsResponse:
        """What fits a pattern, of all streams of a group or of some, in the order of time.

        A page may be short, or empty, and still have a token: then more is to be searched.
        """
        reader = ctx.read()
        group = await existing(reader, group_name(ctx, req))
        names, prefix = req.get("logStreamNames"), req.get("logStreamNamePrefix")
        if names and prefix:
            raise InvalidParameter("Cannot specify both logStreamNames and logStreamNamePrefix.")
        for name in names or []:
            await existing_stream(reader, group, name)
        try:
            fits = compiled(req.get("filterPattern") or "")
        except BadPattern as error:
            raise InvalidParameter("Invalid filter pattern") from error
        since, until = _times(ctx, group, req)
        most = req.get("limit", limits.EVENTS_A_PAGE_MAX)
        scope = f"filter/{group.id}/{req.get('filterPattern')}/{names}/{prefix}"
        after = position(req, scope)
        low = first_id(since) if after is None else int(after) + 1
        search = _Search(fits, set(names) if names else None, prefix or "", low, first_id(until))
        await search.run(reader, group, most)
        told: dict[str, Any] = {
            "events": [
                {
                    "logStreamName": one.stream,
                    "timestamp": one.at,
                    "message": one.text,
                    "ingestionTime": one.ingested_at,
                    "eventId": f"{one.id:056d}",
                }
                for one in search.found
            ],
            "searchedLogStreams": [],
        }
        if search.stopped_at is not None:
            told["nextToken"] = page_token(str(search.stopped_at).encode(), scope)
        ctx.read().meter("Requests-Read")
        return cast("w.FilterLogEventsResponse", told)


class _Search:
    """One search: what was found, and where it stopped before the end."""

    def __init__(
        self, fits: Matcher, names: set[str] | None, prefix: str, low: int, high: int
    ) -> None:
        self._fits = fits
        self._names = names
        self._prefix = prefix
        self._low, self._high = low, high
        self._searched = 0
        self._size = 0
        self.found: list[Event] = []
        self.stopped_at: int | None = None

    async def run(self, reader: Reader, group: Group, most: int) -> None:
        """Search until the page is full, or so much has been looked at, or there is no more."""
        since, until = self._low >> 144, self._high >> 144
        async for minute in minutes(reader, group.id, None, since, until, reverse=False):
            for event in minute:
                if not self._low <= event.id < self._high or not self._takes(event):
                    continue
                weight = len(event.text) + limits.EVENT_OVERHEAD_BYTES
                if len(self.found) == most or (
                    self.found and self._size + weight > limits.PAGE_BYTES_MAX
                ):
                    self.stopped_at = self.found[-1].id
                    return
                self.found.append(event)
                self._size += weight
            self._searched += sum(len(event.text) for event in minute)
            if self._searched > limits.SEARCHED_BYTES_MAX:
                self.stopped_at = minute[-1].id
                return

    def _takes(self, event: Event) -> bool:
        if self._names is not None and event.stream not in self._names:
            return False
        return event.stream.startswith(self._prefix) and self._fits(event.text) is not None


async def _page(
    reader: Reader, group: Group, stream: str, low: int, high: int, most: int, *, backwards: bool
) -> list[Event]:
    """At most `most` events with low <= id < high, from the one end or the other, in order."""
    shown: list[Event] = []
    size = 0
    span = minutes(reader, group.id, stream, low >> 144, high >> 144, reverse=backwards)
    async for minute in span:
        for event in minute:
            if not low <= event.id < high:
                continue
            size += len(event.text) + limits.EVENT_OVERHEAD_BYTES
            if len(shown) == most or (shown and size > limits.PAGE_BYTES_MAX):
                return shown[::-1] if backwards else shown
            shown.append(event)
    return shown[::-1] if backwards else shown


def _times(ctx: Context, group: Group, req: Mapping[str, Any]) -> tuple[int, int]:
    """From when, inclusive, until when, exclusive; never what the group keeps no longer."""
    since, until = req.get("startTime", 0), req.get("endTime", _END)
    if until < since:
        raise InvalidParameter("End time must be greater than or equal to start time.")
    return max(since, oldest_kept(group, milliseconds(ctx.now))), min(until, _END)
