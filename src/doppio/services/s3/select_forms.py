"""The forms of what S3 Select reads and writes, checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from doppio.services.s3.errors import MalformedXML
from doppio.services.s3.select_errors import SelectRefused
from doppio.services.s3.select_plan import CSV, JSON, PARQUET


class CsvForm(NamedTuple):
    """How a CSV file is written."""

    header: str = "NONE"
    field: str = ","
    record: str = "\n"
    quote: str = '"'
    escape: str = '"'
    comments: str = "#"
    always: bool = False


class Input(NamedTuple):
    """What is read: its format, whether it is compressed, and how."""

    format: str
    compression: str
    csv: CsvForm
    document: bool
    start: int | None
    end: int | None


class Output(NamedTuple):
    """What is written."""

    format: str
    csv: CsvForm
    record: str = "\n"


def input_of(req: Mapping[str, Any]) -> Input:
    """The input that a request describes. Raises SelectRefused."""
    if req["ExpressionType"] != "SQL":
        raise SelectRefused("InvalidExpressionType")
    said = req["InputSerialization"]
    given = [name for name in (CSV, JSON, PARQUET) if said.get(name) is not None]
    if not given:
        raise SelectRefused("InvalidDataSource")
    if len(given) > 1:
        raise SelectRefused("ObjectSerializationConflict")
    form = given[0]
    compression = said.get("CompressionType") or "NONE"
    if compression not in {"NONE", "GZIP", "BZIP2"}:
        raise SelectRefused("InvalidCompressionFormat")
    if form == PARQUET and compression != "NONE":
        raise SelectRefused("InvalidCompressionFormat")
    document = False
    if form == JSON:
        kind = said[JSON].get("Type")
        if kind is None:
            raise SelectRefused("MissingRequiredParameter")
        if kind not in {"LINES", "DOCUMENT"}:
            raise SelectRefused("InvalidRequestParameter")
        document = kind == "DOCUMENT"
    start = end = None
    scan = req.get("ScanRange")
    if scan is not None:
        start, end = scan.get("Start"), scan.get("End")
        _check_scan(said, form, compression, document, start, end)
    csv = csv_form(said.get(CSV) or {})
    return Input(form, compression, csv, document, start, end)


def _check_scan(
    said: Mapping[str, Any],
    form: str,
    compression: str,
    document: bool,
    start: int | None,
    end: int | None,
) -> None:
    if start is None and end is None:
        raise MalformedXML
    if (start or 0) < 0 or (end or 0) < 0:
        raise SelectRefused("InvalidScanRange")
    if start is not None and end is not None and end < start:
        raise SelectRefused("InvalidScanRange")
    quoted = (said.get(CSV) or {}).get("AllowQuotedRecordDelimiter")
    if form == PARQUET or compression != "NONE" or document or quoted:
        raise SelectRefused("UnsupportedScanRangeInput")


def output_of(req: Mapping[str, Any]) -> Output:
    """The output that a request wants. Raises SelectRefused."""
    said = req["OutputSerialization"]
    given = [name for name in (CSV, JSON) if said.get(name) is not None]
    if not given:
        raise SelectRefused("MissingRequiredParameter")
    if len(given) > 1:
        raise SelectRefused("ObjectSerializationConflict")
    if given[0] == JSON:
        return Output(JSON, CsvForm(), said[JSON].get("RecordDelimiter") or "\n")
    csv = csv_form(said[CSV])
    if said[CSV].get("QuoteFields") not in {None, "ALWAYS", "ASNEEDED"}:
        raise SelectRefused("InvalidRequestParameter")
    return Output(CSV, csv._replace(always=said[CSV].get("QuoteFields") == "ALWAYS"), csv.record)


def csv_form(said: Mapping[str, Any]) -> CsvForm:
    """A CSV's form; each mark is a single character, a record's end may be two."""
    header = said.get("FileHeaderInfo") or "NONE"
    if header not in {"NONE", "IGNORE", "USE"}:
        raise SelectRefused("InvalidRequestParameter")
    form = CsvForm(
        header=header,
        field=_mark(said, "FieldDelimiter", ","),
        record=_mark(said, "RecordDelimiter", "\n", 2),
        quote=_mark(said, "QuoteCharacter", '"'),
        escape=_mark(said, "QuoteEscapeCharacter", '"'),
        comments=_mark(said, "Comments", "#"),
    )
    if form.field in {form.quote, form.record, "\n", "\r"}:
        raise SelectRefused("InvalidRequestParameter")
    return form


def _mark(said: Mapping[str, Any], name: str, default: str, most: int = 1) -> str:
    text: str = said.get(name) or default
    if len(text) > most or not text.isascii() or "\0" in text:
        raise SelectRefused("InvalidRequestParameter")
    return text
