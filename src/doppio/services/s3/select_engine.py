"""The engine that evaluates a query: DuckDB in a worker thread, which reads nothing but one pipe.

It can open no other file, no network and no extension, and its settings are locked before it sees
anything of a user's. What it runs is written by `select_plan`, never by a user.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from doppio.services.s3.select_dates import MACROS
from doppio.services.s3.select_errors import SelectRefused
from doppio.services.s3.select_forms import Input
from doppio.services.s3.select_plan import CSV, PARQUET, Table, quoted
from doppio.services.s3.select_records import RECORD_BYTES_MAX
from doppio.wire.errors import NotImplementedByDoppio

MEMORY = "256MB"
# So much of the pipe the engine reads at once: some records of the largest size.
_BUFFER_BYTES = 4 * RECORD_BYTES_MAX
# A text that no file has, so that an empty field is not the same as one that is missing.
_NO_TEXT = "\x01\x02\x01"
# Between the columns of what has only one: no JSON has it outside its escapes.
_NEVER = "\x1f"
# Records may have some fields more than the first one.
SPARE_COLUMNS = 8
_KINDS = {
    "BOOLEAN": "bool",
    "VARCHAR": "string",
    "FLOAT": "float",
    "DOUBLE": "float",
    "DATE": "timestamp",
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
         "UINTEGER", "UBIGINT"), "int"
    ),
}  # fmt: skip


def check_installed() -> None:
    """Raise where the extra that brings the engine is not installed."""
    if importlib.util.find_spec("duckdb") is None:
        raise NotImplementedByDoppio(
            "s3: SelectObjectContent needs the extra `select`: pip install 'doppio-cloud[select]'"
        )


class Engine:
    """One query's engine. Every method but `stop` blocks: call them in a worker thread."""

    def __init__(self, path: str) -> None:
        import duckdb

        self._path = path
        self._connection = duckdb.connect(
            ":memory:", config={"threads": "1", "memory_limit": MEMORY}
        )
        run = self._connection.execute
        run("SET TimeZone='UTC'")
        for macro in MACROS:
            run(macro)
        run("SET temp_directory=''")
        run("SET autoinstall_known_extensions=false")
        run("SET autoload_known_extensions=false")
        run(f"SET allowed_paths=[{quoted(path)}]")
        run("SET enable_external_access=false")
        run("SET lock_configuration=true")

    def parquet_table(self) -> Table:
        """The columns of a Parquet file."""
        with translated(PARQUET):
            rows = self._connection.execute(
                f"DESCRIBE SELECT * FROM read_parquet({quoted(self._path)})"  # noqa: S608
            ).fetchall()
        names = tuple(row[0] for row in rows)
        return Table(PARQUET, names, tuple(map(_kind, (row[1] for row in rows))), headers=True)

    def begin(self, sql: str, form: Input, columns: int) -> None:
        """Start a query; it runs as rows are asked for."""
        with translated(form.format):
            relation = self._relation(form, columns)
            self._connection.execute(
                f"WITH s3_source AS NOT MATERIALIZED (SELECT * FROM {relation}) {sql}"  # noqa: S608
            )

    def rows(self, count: int, form: Input) -> list[tuple[Any, ...]]:
        """The next rows; none at the end."""
        with translated(form.format):
            return self._connection.fetchmany(count)

    def stop(self) -> None:
        """Make what runs end soon; from any thread."""
        self._connection.interrupt()

    def close(self) -> None:
        """Let go of the pipe and all memory."""
        self._connection.close()

    def _relation(self, form: Input, columns: int) -> str:
        if form.format == PARQUET:
            return f"read_parquet({quoted(self._path)})"
        names = ", ".join(f"c{number + 1}: 'VARCHAR'" for number in range(columns))
        said = {
            "auto_detect": "false",
            "columns": f"{{{names}}}",
            "header": "false",
            "nullstr": quoted(_NO_TEXT),
            "new_line": "'\\n'",
            "parallel": "false",
            "max_line_size": str(RECORD_BYTES_MAX),
            "buffer_size": str(_BUFFER_BYTES),
            "delim": quoted(_NEVER),
            "quote": "''",
            "escape": "''",
        }
        if form.format == CSV:
            csv = form.csv
            said |= {"delim": quoted(csv.field), "quote": quoted(csv.quote)}
            said |= {"escape": quoted(csv.escape), "null_padding": "true"}
        options = ", ".join(f"{name}={value}" for name, value in said.items())
        source = f"read_csv({quoted(self._path)}, {options})"
        if form.format == CSV:
            return source
        return f"(SELECT CAST(c1 AS JSON) AS j FROM {source} WHERE trim(c1) <> '')"  # noqa: S608


def _kind(name: str) -> str:
    if name.startswith("DECIMAL"):
        return "number"
    if name.startswith("TIMESTAMP"):
        return "timestamp"
    return _KINDS.get(name, "json")


@contextmanager
def translated(form: str) -> Iterator[None]:
    """The engine's errors as S3 Select's."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException as error:
        raise SelectRefused("Busy") from error
    except duckdb.OutOfMemoryException as error:
        raise SelectRefused("Busy") from error
    except duckdb.OutOfRangeException as error:
        raise SelectRefused("IntegerOverflow") from error
    except duckdb.ConversionException as error:
        text = str(error)
        if "to 'JSON'" in text or "Malformed JSON" in text:
            raise SelectRefused("JSONParsingError") from error
        raise SelectRefused("ValueParseFailure" if "timestamp" in text else "CastFailed") from error
    except duckdb.InvalidInputException as error:
        text = str(error)
        if "Maximum line size" in text:
            raise SelectRefused("OverMaxRecordSize") from error
        if "JSON" in text:
            raise SelectRefused("JSONParsingError") from error
        if form == PARQUET:
            raise SelectRefused("ParquetParsingError") from error
        code = "CSVParsingError" if "CSV" in text else "UnsupportedSqlOperation"
        raise SelectRefused(code) from error
    except (duckdb.BinderException, duckdb.ParserException) as error:
        raise SelectRefused("InvalidDataType") from error
    except duckdb.Error as error:
        raise SelectRefused(
            "ParquetParsingError" if form == PARQUET else "UnsupportedSqlOperation"
        ) from error
