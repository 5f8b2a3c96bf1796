"""What a form's policy allows, pure.

Source: "POST Policy" in S3's documentation of browser-based uploads.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from doppio.services.s3.errors import AccessDenied, InvalidPolicyDocument
from doppio.wire.sigv2 import EndOf

# Fields that a policy need not speak of.
_FREE = frozenset({"x-amz-signature", "signature", "file", "policy", "awsaccesskeyid"})
_LISTS = frozenset({"content-type"})


class Range(NamedTuple):
    """How long a file may be, in bytes."""

    least: int
    most: int


def check(
    policy: str, bucket: str, fields: Mapping[str, str], now: datetime, end_of: EndOf
) -> Range | None:
    """The length that a policy allows; None where it says nothing. Raises AccessDenied.

    `policy` is as in the form. Every field must be spoken of, and every condition hold. `now` is cloud
    time, and `end_of` says when that ends in it to which who signed by the host's clock gave an end.
    """
    document = _document(policy)
    end = _expiration(document).timestamp()
    if now.timestamp() >= end_of(end, _signed_before(fields)):
        raise AccessDenied("Invalid according to Policy: Policy expired.")
    values = {**fields, "bucket": bucket}
    spoken: set[str] = set()
    allowed: Range | None = None
    for condition in document["conditions"]:
        kind, name, value = _read(condition)
        if kind == "content-length-range":
            allowed = Range(int(name), int(value))
            continue
        spoken.add(name)
        if not _holds(kind, name, value, values.get(name)):
            raise AccessDenied(
                "Invalid according to Policy: Policy Condition failed: "
                f'["{kind}", "${name}", "{value}"]'
            )
    extra = [
        name
        for name in fields
        if name not in spoken and name not in _FREE and not name.startswith("x-ignore-")
    ]
    if extra:
        raise AccessDenied(f"Invalid according to Policy: Extra input fields: {', '.join(extra)}")
    return allowed


def _document(policy: str) -> Mapping[str, Any]:
    try:
        document = json.loads(base64.b64decode(policy))
    except (binascii.Error, ValueError) as error:
        raise InvalidPolicyDocument("Invalid Policy: Invalid JSON.") from error
    if not isinstance(document, dict) or not isinstance(document.get("conditions"), list):
        raise InvalidPolicyDocument("Invalid Policy: Policy missing conditions.")
    return document


def _expiration(document: Mapping[str, Any]) -> datetime:
    text = document.get("expiration")
    if text is None:
        raise InvalidPolicyDocument("Invalid Policy: Policy missing expiration.")
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise InvalidPolicyDocument(
            f"Invalid Policy: Invalid 'expiration' value: '{text}'"
        ) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _signed_before(fields: Mapping[str, str]) -> float | None:
    """The end of the second in which a form was signed, where it says so."""
    try:
        signed_at = datetime.fromisoformat(fields["x-amz-date"])
    except (KeyError, ValueError):
        return None
    return signed_at.replace(tzinfo=UTC).timestamp() + 1


def _read(condition: Any) -> tuple[str, str, str]:
    """A condition's kind, the field in lower case, and the value; or the bounds of a length."""
    if isinstance(condition, dict) and len(condition) == 1:
        ((name, value),) = condition.items()
        return "eq", str(name).lower(), str(value)
    if isinstance(condition, list) and len(condition) == 3:
        kind, name, value = str(condition[0]).lower(), str(condition[1]), str(condition[2])
        if kind == "content-length-range" and name.isdigit() and value.isdigit():
            return kind, name, value
        if kind in {"eq", "starts-with"} and name.startswith("$"):
            return kind, name[1:].lower(), value
    raise InvalidPolicyDocument(
        f"Invalid Policy: Invalid Simple-Condition: {json.dumps(condition)}"
    )


def _holds(kind: str, name: str, value: str, given: str | None) -> bool:
    if given is None:
        return False
    if kind == "eq":
        return given == value
    if name in _LISTS:
        # A list of types begins with what is wanted at each of its parts.
        return all(part.strip().startswith(value) for part in given.split(","))
    return given.startswith(value)
