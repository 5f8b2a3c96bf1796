"""Paths and queries in the one form over which signatures are made, however they were written. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, unquote_plus

_plain = re.compile(r"[A-Za-z0-9_.~/-]*\Z").match


def encoded_once(path: str) -> str:
    """A path as S3 signs it."""
    if _plain(path):
        return path
    # Segment by segment, so that an encoded slash in a key stays one.
    return "/".join(quote(unquote(part), safe="-_.~") for part in path.split("/"))


def encoded_twice(path: str) -> str:
    """A path as all others sign it: normalised, and encoded once more."""
    if path == "/":
        return path
    normal = _normalised(path)
    if _plain(normal):
        return normal
    return quote(normal, safe="/-_.~")


def _normalised(path: str) -> str:
    if "//" not in path and "/." not in path:
        return path
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    tail = "/" if path.endswith("/") and parts else ""
    return "/" + "/".join(parts) + tail


def canonical_query(query: str, presigned: bool) -> str:
    """The query, decoded, encoded anew and sorted, without the signature itself."""
    pairs: list[tuple[str, str]] = []
    for part in query.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        if presigned and name == "X-Amz-Signature":
            continue
        pairs.append((_query_encoded(name), _query_encoded(value)))
    pairs.sort()
    return "&".join(f"{name}={value}" for name, value in pairs)


def _query_encoded(text: str) -> str:
    if text.isalnum() and text.isascii():
        return text
    return quote(unquote_plus(text) if "+" in text else unquote(text), safe="-_.~")


def query_pairs(query: str) -> dict[str, str]:
    """Query parameters, decoded; the first of a name counts."""
    pairs: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        pairs.setdefault(unquote_plus(name), unquote_plus(value))
    return pairs
