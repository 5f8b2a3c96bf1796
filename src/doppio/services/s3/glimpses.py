"""Versions of which little is wanted: read from the same rows, with the rest left unread.

Fields stand as in `Version`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from doppio.services.s3.records import Checksum, More

_UNREAD = msgspec.Raw()


class Listed(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What listings show of a version. A page has a thousand rows, and reading them is half of its cost."""

    bucket: msgspec.Raw
    key: str
    sequence: int
    id: str
    modified: datetime
    marker: bool = False
    size: int = 0
    etag: str = ""
    checksum: Checksum | None = None
    body: msgspec.Raw = _UNREAD
    content: msgspec.Raw = _UNREAD
    parts_count: msgspec.Raw = _UNREAD
    storage_class: str = "STANDARD"


class ListedWhole(Listed, frozen=True, kw_only=True, array_like=True, gc=False):
    """The same for listings of owners and restores, which few versions have of their own."""

    headers: msgspec.Raw = _UNREAD
    expires: msgspec.Raw = _UNREAD
    metadata: msgspec.Raw = _UNREAD
    tags: msgspec.Raw = _UNREAD
    more: More | None = None


class Known(Protocol):
    """A version, or as much of one as must be known when it goes or another takes its place."""

    @property
    def bucket(self) -> str: ...
    @property
    def sequence(self) -> int: ...
    @property
    def id(self) -> str: ...
    @property
    def modified(self) -> datetime: ...
    @property
    def marker(self) -> bool: ...
    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str: ...
    @property
    def content(self) -> str | None: ...
    @property
    def storage_class(self) -> str: ...
    @property
    def more(self) -> More | None: ...


class Former(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What a put looks at of the version that it replaces, in a bucket that keeps no others."""

    bucket: str
    key: msgspec.Raw
    sequence: int
    id: str
    modified: datetime
    marker: bool = False
    size: int = 0
    etag: str = ""
    checksum: msgspec.Raw = _UNREAD
    body: msgspec.Raw = _UNREAD
    content: str | None = None
    parts_count: msgspec.Raw = _UNREAD
    storage_class: str = "STANDARD"
    headers: msgspec.Raw = _UNREAD
    expires: msgspec.Raw = _UNREAD
    metadata: msgspec.Raw = _UNREAD
    tags: msgspec.Raw = _UNREAD
    more: More | None = None


former_of = msgspec.msgpack.Decoder(Former).decode
