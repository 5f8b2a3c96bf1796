"""Data types of parameters: what a value must look like to be of one. Pure.

Source: "Working with parameter data types in Parameter Store".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from doppio.kernel.regions import regions

_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_ACCOUNT = re.compile(r"\d{12}")
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
# Types that need what other services know.
ELSEWHERE = frozenset({"aws:ec2:image", "aws:ssm:integration"})


def fits(kind: str, value: str) -> bool | None:
    """Whether a value is of a type; None: there is no such type."""
    check = _CHECKS.get(kind)
    return None if check is None else check(value)


def _is_binary(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_hostname(value: str) -> bool:
    labels = value.removesuffix(".").split(".")
    return len(value) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _is_email(value: str) -> bool:
    return _EMAIL.fullmatch(value) is not None and _is_hostname(value.partition("@")[2])


def _is_address(version: int) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            return ipaddress.ip_address(value).version == version
        except ValueError:
            return False

    return check


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return bool(parts.scheme) and bool(parts.netloc) and " " not in value


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


_CHECKS: dict[str, Callable[[str], bool]] = {
    "text": lambda value: True,
    "boolean": lambda value: value.lower() in {"true", "false"},
    "integer": lambda value: _INTEGER.fullmatch(value) is not None,
    "float": lambda value: _FLOAT.fullmatch(value) is not None,
    "binary": _is_binary,
    "hostname": _is_hostname,
    "email": _is_email,
    "ipv4-address": _is_address(4),
    "ipv6-address": _is_address(6),
    "url": _is_url,
    "json": _is_json,
    "jsonc": lambda value: _is_json(_COMMENT.sub(lambda found: found[1] or " ", value)),
    "aws:region": lambda value: value in regions(),
    "aws:account:id": lambda value: _ACCOUNT.fullmatch(value) is not None,
}
