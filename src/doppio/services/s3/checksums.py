"""Checksums of bodies: which one a request speaks of, and whether it is right.

Every object has one beside its ETag: the one that was sent, else CRC64NVME.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from doppio.services.s3.errors import BadDigest, InvalidRequest
from doppio.services.s3.records import Checksum
from doppio.wire import checksums

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

DEFAULT = "CRC64NVME"
# Each with the length of its values.
DIGEST_BYTES = {
    "CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "MD5": 16, "SHA1": 20, "SHA256": 32, "SHA512": 64,
    "XXHASH64": 8, "XXHASH3": 8, "XXHASH128": 16,
}  # fmt: skip
MEMBERS = {f"Checksum{name}": name for name in DIGEST_BYTES}
# CRCs of the whole can be computed from those of the parts; hashes cannot.
FULL_OBJECT = frozenset({"CRC32", "CRC32C", "CRC64NVME"})
COMPOSITE = DIGEST_BYTES.keys() - {"CRC64NVME"}
_MEMBER_OF = {name: member for member, name in MEMBERS.items()}
_KNOWN = MEMBERS.keys()
SAYING = _KNOWN | {"ChecksumAlgorithm"}


def said(req: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The algorithm that a request names, and the value it gives (None: in a trailer, or none)."""
    if SAYING.isdisjoint(req):
        return None, None
    given = _KNOWN & req.keys()
    named = req.get("ChecksumAlgorithm")
    if not given:
        return (None, None) if named is None else (_checked(named), None)
    if len(given) > 1:
        raise InvalidRequest(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    (member,) = given
    return _checked(MEMBERS[member]), req[member]


def trailing(algorithm_headers: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The same from headers or trailers (lower case names)."""
    for name in MEMBERS.values():
        value = algorithm_headers.get(f"x-amz-checksum-{name.lower()}")
        if value is not None:
            return _checked(name), value
    return None, None


def announced(trailers: tuple[str, ...]) -> str | None:
    """The algorithm whose value the named trailers will bring."""
    for trailer in trailers:
        name = trailer.lower().removeprefix("x-amz-checksum-").upper()
        if f"Checksum{name}" in MEMBERS:
            return _checked(name)
    return None


def _checked(name: str) -> str:
    if name in DIGEST_BYTES:
        return name
    raise InvalidRequest(
        "Checksum algorithm provided is unsupported. Please try again with any of the valid "
        f"types: [{', '.join(DIGEST_BYTES)}]"
    )


def check_value(name: str, value: str) -> None:
    """Raise InvalidRequest where a value as sent cannot be such a checksum."""
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != DIGEST_BYTES[name]:
        raise InvalidRequest(f"Value for x-amz-checksum-{name.lower()} header is invalid.")


def compare(algorithm: str, given: str | None, computed: str) -> None:
    """Raise BadDigest where what was sent is not what arrived."""
    if given is not None and given != computed:
        check_value(algorithm, given)
        raise BadDigest(f"The {algorithm} you specified did not match the calculated checksum.")


def of_parts(algorithm: str, kind: str, parts: list[tuple[str, int]]) -> Checksum:
    """The checksum of an object from its parts' values and sizes."""
    if kind == "FULL_OBJECT":
        value, _ = parts[0]
        whole = base64.b64decode(value)
        for following, length in parts[1:]:
            whole = checksums.combine(algorithm, whole, base64.b64decode(following), length)
        return Checksum(algorithm, base64.b64encode(whole).decode(), kind)
    together = checksums.new(algorithm)
    for value, _ in parts:
        together.update(base64.b64decode(value))
    return Checksum(algorithm, f"{together.base64()}-{len(parts)}", kind)


def to_wire(checksum: Checksum | None) -> w.Checksum:
    """A checksum as members of a result."""
    if checksum is None:
        return {}
    members: Any = {_MEMBER_OF[checksum.algorithm]: checksum.value, "ChecksumType": checksum.kind}
    found: w.Checksum = members
    return found


def value_to_wire(checksum: Checksum) -> dict[str, str]:
    """A part's checksum as a member of a result: it has no type of its own."""
    return {f"Checksum{checksum.algorithm}": checksum.value}
