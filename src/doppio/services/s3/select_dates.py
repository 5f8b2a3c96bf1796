"""S3 Select's patterns of dates, and timestamps as Ion writes them. Pure."""

from __future__ import annotations

import re

from doppio.services.s3.select_errors import SelectRefused

PATTERN_CHARS_MAX = 256
_FIELDS = {
    "yyyy": "%Y",
    "yy": "%y",
    "y": "%Y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%-m",
    "dd": "%d",
    "d": "%-d",
    "a": "%p",
    "hh": "%I",
    "h": "%-I",
    "HH": "%H",
    "H": "%-H",
    "mm": "%M",
    "m": "%-M",
    "ss": "%S",
    "s": "%-S",
    "SSS": "%g",
    "SSSSSS": "%f",
    # Moments are kept in UTC.
    "X": "Z",
    "XX": "Z",
    "X" * 3: "Z",
    "x": "+00",
    "xx": "+0000",
    "xxx": "+00:00",
}
_TOKEN = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")

# Ion's timestamps may end behind the year, the month or the day, with a T. What is whole follows
# ISO 8601 and is kept in UTC.
_WHOLE = (
    "CASE WHEN regexp_full_match(x, '\\d{4}T') THEN x[:4] || '-01-01' "
    "WHEN regexp_full_match(x, '\\d{4}-\\d{2}T') THEN x[:7] || '-01' "
    "WHEN regexp_full_match(x, '\\d{4}-\\d{2}-\\d{2}T') THEN x[:10] ELSE x END"
)
MACROS = (
    f"CREATE MACRO s3_moment(x) AS make_timestamp(epoch_us(CAST({_WHOLE} AS TIMESTAMPTZ)))",
    f"CREATE MACRO s3_tried(x) AS make_timestamp(epoch_us(TRY_CAST({_WHOLE} AS TIMESTAMPTZ)))",
)


def strftime_of(pattern: str) -> str:
    """A pattern of TO_STRING's as the engine writes it. Raises SelectRefused."""
    if len(pattern) > PATTERN_CHARS_MAX:
        raise SelectRefused("EvaluatorTimestampFormatPatternTooLong")
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        match = _TOKEN.match(pattern, at)
        if match is None:
            raise SelectRefused("UnsupportedSyntax", "The timestamp format pattern is not valid.")
        at = match.end()
        text = match.group()
        if match.group(1) is not None:
            parts.append((match.group(1).replace("''", "'") or "'").replace("%", "%%"))
        elif match.group(2) is None:
            parts.append(text.replace("%", "%%"))
        elif text in _FIELDS:
            parts.append(_FIELDS[text])
        else:
            raise SelectRefused("UnsupportedSyntax", "The timestamp format pattern is not valid.")
    return "".join(parts)
