"""Finding sensitive data in a text: the managed data identifiers that can be had exactly. Pure.

Source: "What are data identifiers in Amazon SNS?" and the pages of each type. Those that AWS finds
by learned models (names, addresses) are not among them: half of them would be worse than none.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

PREFIX = "arn:aws:dataprotection::aws:data-identifier/"
# A keyword counts within so many characters of what it is to confirm.
KEYWORD_CHARS = 30


class Finding(NamedTuple):
    """Where in a text something sensitive stands, and what it is."""

    start: int
    end: int
    identifier: str


class _Identifier(NamedTuple):
    pattern: re.Pattern[str]
    confirms: Callable[[str], bool] = lambda found: True
    keywords: re.Pattern[str] | None = None


def _luhn(found: str) -> bool:
    digits = [int(one) for one in found if one.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [
        digit if at % 2 == 0 else digit * 2 - 9 * (digit > 4)
        for at, digit in enumerate(reversed(digits))
    ]
    return sum(doubled) % 10 == 0


def _address(found: str) -> bool:
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return False
    return True


def _ssn(found: str) -> bool:
    """Numbers that were never given out are none."""
    area, group, serial = found[:3], found[-6:-4], found[-4:]
    if len(found) == 11:
        group = found[4:6]
    never = area in {"000", "666"} or area >= "900"
    return not (never or group == "00" or serial == "0000")


def _key(kind: str) -> re.Pattern[str]:
    return re.compile(
        rf"-----BEGIN {kind}-----[A-Za-z0-9+/=:.,\-\s]{{1,16384}}?-----END {kind}-----"
    )


_PHONE_WORDS = re.compile(
    r"\b(?:cell|contact|fax|fax number|mobile|phone|phone number|tel|telephone|telephone number)\b",
    re.IGNORECASE,
)
_SSN_WORDS = re.compile(
    r"\b(?:social security|ss#|ssn|social security number|social security #)", re.IGNORECASE
)
_SECRET_WORDS = re.compile(
    r"aws_secret_access_key|credentials|secret access key|secret key|set-awscredential"
    r"|secretaccesskey",
    re.IGNORECASE,
)
_IDENTIFIERS = {
    "AwsSecretKey": _Identifier(
        re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+=]{40}(?![A-Za-z0-9/+=])"),
        keywords=_SECRET_WORDS,
    ),
    "CreditCardNumber": _Identifier(
        re.compile(r"(?<![\d.-])[2-6](?:[ -]?\d){12,18}(?![\d-])"), _luhn
    ),
    "EmailAddress": _Identifier(
        re.compile(
            r"(?<![\w.%+-])[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}"
            r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w-])"
        )
    ),
    "IpAddress": _Identifier(
        re.compile(
            r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})"
            r"(?![\w:]|\.\d)"
        ),
        _address,
    ),
    "OpenSshPrivateKey": _Identifier(_key("OPENSSH PRIVATE KEY")),
    "PgpPrivateKey": _Identifier(_key("PGP PRIVATE KEY BLOCK")),
    "PhoneNumber-US": _Identifier(
        re.compile(
            r"(?<![\w+.-])(?:\+?1[ .-]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-]?)"
            r"[2-9]\d{2}[ .-]?\d{4}(?![\w-])"
        ),
        keywords=_PHONE_WORDS,
    ),
    "PkcsPrivateKey": _Identifier(_key("(?:RSA |EC |DSA |ENCRYPTED )?PRIVATE KEY")),
    "Ssn-US": _Identifier(
        re.compile(r"(?<![\d-])\d{3}(?:-\d{2}-|\d{2})\d{4}(?![\d-])"), _ssn, _SSN_WORDS
    ),
}


def known(arn: str) -> bool:
    """Whether this cloud can find what an identifier's ARN names."""
    return arn.startswith(PREFIX) and arn.removeprefix(PREFIX) in _IDENTIFIERS


def findings(text: str, identifiers: frozenset[str]) -> list[Finding]:
    """What stands in a text, in its order; what overlaps an earlier finding is part of it."""
    found: list[Finding] = []
    for arn in sorted(identifiers):
        one = _IDENTIFIERS[arn.removeprefix(PREFIX)]
        found += [
            Finding(match.start(), match.end(), arn)
            for match in one.pattern.finditer(text)
            if one.confirms(match.group()) and _near(text, match, one.keywords)
        ]
    return sorted(found)


def _near(text: str, match: re.Match[str], keywords: re.Pattern[str] | None) -> bool:
    if keywords is None:
        return True
    before = text[max(0, match.start() - KEYWORD_CHARS) : match.start()]
    after = text[match.end() : match.end() + KEYWORD_CHARS]
    return bool(keywords.search(before) or keywords.search(after))


def without(text: str, found: list[Finding], mask: str) -> str:
    """The text with each character of what was found replaced, or, with no mask, left out."""
    parts, at = [], 0
    for one in found:
        if one.end <= at:
            continue
        start = max(at, one.start)
        parts += [text[at:start], mask * (one.end - start)]
        at = one.end
    return "".join([*parts, text[at:]])
