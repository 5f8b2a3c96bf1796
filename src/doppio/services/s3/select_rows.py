"""The engine's rows as S3 Select writes them: CSV or JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from doppio.services.s3.select_errors import SelectRefused
from doppio.services.s3.select_forms import Output
from doppio.services.s3.select_plan import JSON
from doppio.services.s3.select_plan import Output as Column
from doppio.services.s3.select_records import NEWLINE, RECORD_BYTES_MAX

_encode = msgspec.json.Encoder().encode
_ABSENT = frozenset({"text", "json"})


class Rows:
    """Writes rows. Without `columns` they are a CSV's own, called by `names` or by position."""

    def __init__(
        self, output: Output, columns: Sequence[Column], names: Sequence[str], *, swapped: bool
    ) -> None:
        self._output = output
        self._columns = columns
        self._names = names
        self._swapped = swapped
        csv = output.csv
        self._marks = (csv.field, csv.quote, csv.record, "\n", "\r")
        self._row: Callable[[Sequence[Any]], str] = (
            self._json if output.format == JSON else self._csv
        )

    def write(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """Records, each with its delimiter. Raises OverMaxRecordSize."""
        found = [self._row(row) for row in rows]
        if any(len(one) > RECORD_BYTES_MAX for one in found):
            raise SelectRefused("OverMaxRecordSize")
        return "".join(found).encode()

    def _own(self, row: Sequence[Any]) -> list[tuple[str, Any]]:
        """The fields of a CSV's record, as many as it had."""
        count = len(row)
        while count and row[count - 1] is None:
            count -= 1
        names = self._names
        return [
            (names[at] if at < len(names) else f"_{at + 1}", row[at] or "") for at in range(count)
        ]

    def _csv(self, row: Sequence[Any]) -> str:
        columns = self._columns
        if not columns:
            texts = [value for _, value in self._own(row)]
        elif columns[0].kind == "record":
            texts = _members(row[0])
        else:
            texts = [_text(v, c.kind) for v, c in zip(row, columns, strict=True)]
        csv = self._output.csv
        return csv.field.join(map(self._field, texts)) + csv.record

    def _field(self, text: str) -> str:
        csv = self._output.csv
        if self._swapped:
            text = text.replace(NEWLINE, "\n")
        if not csv.always and not any(mark in text for mark in self._marks):
            return text
        if csv.escape != csv.quote:
            text = text.replace(csv.escape, csv.escape * 2)
        return csv.quote + text.replace(csv.quote, csv.escape + csv.quote) + csv.quote

    def _json(self, row: Sequence[Any]) -> str:
        columns = self._columns
        if not columns:
            members = [(name, self._string(value)) for name, value in self._own(row)]
        elif columns[0].kind == "record":
            text = row[0].strip()
            return (text if text.startswith("{") else f'{{"_1":{text}}}') + self._output.record
        else:
            members = [
                (column.name, self._value(value, column.kind))
                for value, column in zip(row, columns, strict=True)
                if value is not None or column.kind not in _ABSENT
            ]
        inner = ",".join(f"{_encode(name).decode()}:{value}" for name, value in members)
        return f"{{{inner}}}{self._output.record}"

    def _string(self, text: str) -> str:
        return _encode(text.replace(NEWLINE, "\n") if self._swapped else text).decode()

    def _value(self, value: Any, kind: str) -> str:
        if value is None:
            return "null"
        if kind == "json":
            return str(value)
        if kind in {"text", "string", "timestamp"}:
            return self._string(_text(value, kind))
        if isinstance(value, float) and not _finite(value):
            return "null"
        return _text(value, kind)


def _finite(value: float) -> bool:
    return value - value == 0.0


def _text(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat()
        return (text.rstrip("0") if "." in text else text) + "Z"
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, float) and kind == "number" and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if kind == "json":
        return _of_json(str(value))
    return str(value)


def _of_json(text: str) -> str:
    """A JSON value as a field: a string without its quotes, null as nothing, others as they are."""
    if text.startswith('"'):
        return str(json.loads(text))
    return "" if text == "null" else text


def _members(text: str) -> list[str]:
    """The values of an object, in their order; another value is the only one."""
    if not text.lstrip().startswith("{"):
        return [_of_json(text.strip())]
    found = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    return [_of_json(bytes(value).decode()) for value in found.values()]
