"""Objects as listings show them: structures to those who call, and lines of XML to the wire.

A page holds a thousand entries. Each is written from its row by one format string, and what all of
a page have alike is looked at once for all; `__getitem__` says what the same entry is as the
model's structure, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, cast, overload
from urllib.parse import quote_plus

import msgspec

from doppio.services.s3.extracts import entry_of, written_out
from doppio.services.s3.glimpses import Listed, ListedWhole
from doppio.services.s3.lookup import owner_of
from doppio.services.s3.records import More
from doppio.services.s3.rules import quoted
from doppio.services.s3.walk import Extract
from doppio.wire.timestamps import format_seconds_of_many
from doppio.wire.xml_ import Written, escape

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_usual = msgspec.msgpack.Decoder(Listed).decode
_whole = msgspec.msgpack.Decoder(ListedWhole).decode
_BEGINNING = b"<Contents><Key>"
# Lines are joined in such lots, so that their memory is taken again and again.
_LINES_AT_ONCE = 100
# What both XML and URLs hold as it is; keys of nothing else need no second look.
_PLAIN = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/*"


class Shown(NamedTuple):
    """How entries are shown: `owner` where owners are wanted, `now` where restores are."""

    encoded: bool
    owner: w.Owner | None = None
    now: datetime | None = None

    @property
    def whole(self) -> bool:
        """Whether anything is shown that few objects have of their own."""
        return self.owner is not None or self.now is not None

    def text(self, key: str) -> str:
        """A key in the encoding that was asked for."""
        return url_encoded(key) if self.encoded else key


def reader_for(shown: Shown) -> Callable[[bytes], Listed]:
    """Reads rows as far as they are shown."""
    return _whole if shown.whole else _usual


def url_encoded(text: str) -> str:
    """A key for clients that asked for `url`, since XML cannot hold every character."""
    return quote_plus(text, safe="/*")


class Objects(Written):
    """`Contents`: current objects."""

    def __init__(self, rows: Sequence[Listed], shown: Shown) -> None:
        self._rows = rows
        self._shown = shown

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> w.Object: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[w.Object]: ...
    def __getitem__(self, at: int | slice) -> w.Object | Sequence[w.Object]:
        if isinstance(at, slice):
            return [self._entry(number) for number in range(*at.indices(len(self)))]
        return self._entry(range(len(self))[at])

    def _entry(self, number: int) -> w.Object:
        row, shown = self._rows[number], self._shown
        entry: w.Object = {
            "Key": shown.text(row.key),
            "LastModified": row.modified.replace(microsecond=0),
            "ETag": quoted(row.etag),
            "Size": row.size,
            "StorageClass": cast("Any", row.storage_class),
        }
        if row.checksum is not None:
            entry["ChecksumAlgorithm"] = [cast("Any", row.checksum.algorithm)]
            entry["ChecksumType"] = cast("Any", row.checksum.kind)
        if shown.owner is not None:
            entry["Owner"] = owner_shown(row, shown.owner)
        status = _restore_status(row, shown.now)
        if status is not None:
            entry["RestoreStatus"] = status
        return entry

    def elements(self) -> str:
        """All entries as XML."""
        every = range(0, len(self._rows), _LINES_AT_ONCE)
        return "".join(["".join(self._lines(start, start + _LINES_AT_ONCE)) for start in every])

    def _lines(self, start: int, end: int) -> list[str]:
        return [
            f"<Contents><Key>{key}</Key><LastModified>{at}.000Z</LastModified>"
            f"<ETag>&quot;{row.etag}&quot;</ETag>"
            f"{'' if (c := row.checksum) is None else f'<ChecksumAlgorithm>{c.algorithm}</ChecksumAlgorithm>'}"
            f"{'' if c is None else f'<ChecksumType>{c.kind}</ChecksumType>'}"
            f"<Size>{row.size}</Size><StorageClass>{row.storage_class}</StorageClass>"
            f"{rest}</Contents>"
            for row, key, at, rest in self._columns(start, end)
        ]

    def _columns(self, start: int, end: int) -> Iterable[tuple[Listed, str, str, str]]:
        rows, shown = self._rows[start:end], self._shown
        moments = format_seconds_of_many([row.modified for row in rows])
        return zip(rows, _written(rows, shown.encoded), moments, _ends(rows, shown), strict=True)


class Extracted(Written):
    """`Contents` of which all was written when the objects were."""

    def __init__(self, rows: Sequence[Extract], shown: Shown) -> None:
        assert not shown.whole, "an extract says nothing of owners and restores"
        self._rows = rows
        self._shown = shown

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> w.Object: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[w.Object]: ...
    def __getitem__(self, at: int | slice) -> w.Object | Sequence[w.Object]:
        rows, text = self._rows, self._shown.text
        if isinstance(at, slice):
            return [entry_of(text(key.decode()), extract) for key, extract in rows[at]]
        key, extract = rows[at]
        return entry_of(text(key.decode()), extract)

    def elements(self) -> str:
        """All entries as XML."""
        rows = self._rows
        if b"".join([key for key, _ in rows]).translate(None, _PLAIN):
            write = url_encoded if self._shown.encoded else escape
            rows = [(write(key.decode()).encode(), extract) for key, extract in rows]
        if not rows:
            return ""
        # Of a row the key and what stands behind it: all parts of all rows are joined at once.
        parts = chain.from_iterable(
            zip(repeat(_BEGINNING, len(rows)), *zip(*rows, strict=True), strict=True)
        )
        return written_out(b"".join(parts)).decode()


class Versions(Objects):
    """`Versions`: all versions that are no delete markers; `latest` says which is its key's newest."""

    def __init__(self, rows: Sequence[Listed], shown: Shown, latest: Sequence[bool]) -> None:
        super().__init__(rows, shown)
        self._latest = latest

    def _entry(self, number: int) -> w.Object:
        entry = cast("dict[str, Any]", super()._entry(number))
        entry["VersionId"] = self._rows[number].id
        entry["IsLatest"] = self._latest[number]
        return cast("w.Object", entry)

    def _lines(self, start: int, end: int) -> list[str]:
        latest = self._latest[start:end]
        return [
            f"<Version><ETag>&quot;{row.etag}&quot;</ETag>"
            f"{'' if (c := row.checksum) is None else f'<ChecksumAlgorithm>{c.algorithm}</ChecksumAlgorithm>'}"
            f"{'' if c is None else f'<ChecksumType>{c.kind}</ChecksumType>'}"
            f"<Size>{row.size}</Size><StorageClass>{row.storage_class}</StorageClass>"
            f"<Key>{key}</Key><VersionId>{row.id}</VersionId>"
            f"<IsLatest>{'true' if is_latest else 'false'}</IsLatest>"
            f"<LastModified>{at}.000Z</LastModified>{rest}</Version>"
            for (row, key, at, rest), is_latest in zip(
                self._columns(start, end), latest, strict=True
            )
        ]


def _more(row: Listed) -> More | None:
    assert isinstance(row, ListedWhole), "read as `reader_for` says"
    return row.more


def owner_shown(row: Listed, owner: w.Owner) -> w.Owner:
    """Whose an object is: the bucket owner's, unless it says otherwise."""
    more = _more(row)
    return owner_of(more.owner) if more is not None and more.owner else owner


def _restore_status(row: Listed, now: datetime | None) -> w.RestoreStatus | None:
    """How far the restoring of an archived object is, where that was asked for."""
    more = None if now is None else _more(row)
    if now is None or more is None or more.restored is None:
        return None
    restored = more.restored
    if now < restored.ready_at:
        return {"IsRestoreInProgress": True}
    if now < restored.ends_at:
        return {"IsRestoreInProgress": False, "RestoreExpiryDate": restored.ends_at}
    return None


def _ends(rows: Sequence[Listed], shown: Shown) -> Iterable[str]:
    """What stands at the end of entries."""
    if not shown.whole:
        return repeat("", len(rows))
    usual = "" if shown.owner is None else _owner_element(shown.owner)
    return [usual if _more(row) is None else _own_end(row, shown) for row in rows]


def _own_end(row: Listed, shown: Shown) -> str:
    text = "" if shown.owner is None else _owner_element(owner_shown(row, shown.owner))
    status = _restore_status(row, shown.now)
    if status is None:
        return text
    text += "<RestoreStatus><IsRestoreInProgress>"
    text += "true" if status["IsRestoreInProgress"] else "false"
    text += "</IsRestoreInProgress>"
    if "RestoreExpiryDate" in status:
        (at,) = format_seconds_of_many([status["RestoreExpiryDate"]])
        text += f"<RestoreExpiryDate>{at}.000Z</RestoreExpiryDate>"
    return f"{text}</RestoreStatus>"


def _owner_element(owner: w.Owner) -> str:
    return f"<Owner><ID>{owner['ID']}</ID></Owner>"


def _written(rows: Sequence[Listed], encoded: bool) -> Sequence[str]:
    """The keys of a page as they stand in XML."""
    keys = [row.key for row in rows]
    if not "".join(keys).encode().translate(None, _PLAIN):
        return keys
    return [*map(url_encoded if encoded else escape, keys)]
