"""S3 Select's language: what it takes, what it refuses, and what never reaches the engine."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doppio.services.s3.select_engine import Engine
from doppio.services.s3.select_errors import SelectRefused
from doppio.services.s3.select_plan import CSV, Table, plan
from doppio.services.s3.select_sql import parsed
from doppio.wire.errors import AwsError


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("", "ParseExpectedKeyword"),
        ("DROP TABLE x", "ParseExpectedKeyword"),
        ("SELECT 1", "ParseSelectMissingFrom"),
        ("SELECT * FROM elsewhere", "InvalidDataSource"),
        ("SELECT * FROM '/etc/passwd'", "InvalidDataSource"),
        ("SELECT * FROM S3Object; SELECT 1 FROM S3Object", "LexerInvalidChar"),
        ("SELECT * FROM S3Object GROUP BY a", "UnsupportedSqlStructure"),
        ("SELECT * FROM S3Object s, S3Object t", "UnsupportedSqlStructure"),
        ("SELECT (SELECT 1) FROM S3Object", "ParseExpectedExpression"),
        ("SELECT read_text('/etc/passwd') FROM S3Object", "UnsupportedFunction"),
        ("SELECT getenv('HOME') FROM S3Object", "UnsupportedFunction"),
        ("SELECT _1, COUNT(*) FROM S3Object", "UnsupportedSqlStructure"),
        ("SELECT SUM(COUNT(*)) FROM S3Object", "UnsupportedSqlStructure"),
        ("SELECT * FROM S3Object WHERE COUNT(*) > 1", "UnsupportedSqlStructure"),
        ("SELECT LOWER() FROM S3Object", "EvaluatorInvalidArguments"),
        ("SELECT 'open FROM S3Object", "LexerInvalidLiteral"),
        ("SELECT CAST(_1 AS BLOB) FROM S3Object", "ParseExpectedTypeName"),
        ("SELECT * FROM S3Object LIMIT 1.5", "ParseUnexpectedToken"),
        ("SELECT _0 FROM S3Object", "InvalidColumnIndex"),
        ("SELECT a FROM S3Object", "MissingHeaders"),
        ("SELECT " + "(" * 500 + "1" + ")" * 500 + " FROM S3Object", "UnsupportedSyntax"),
        ("SELECT 1" + "+1" * 500 + " FROM S3Object", "UnsupportedSyntax"),
        ("SELECT '" + "x" * 262_144 + "' FROM S3Object", "ExpressionTooLong"),
        ("SELECT `x` + 1 FROM S3Object", "InvalidDataType"),
    ],
)
def test_what_is_no_query_is_refused_by_its_code(expression: str, code: str) -> None:
    with pytest.raises(SelectRefused) as error:
        plan(parsed(expression), Table(CSV, ("x",)), datetime(2030, 1, 1, tzinfo=UTC))
    assert error.value.code == code


def test_the_engine_reaches_nothing_but_its_pipe(tmp_path: Path) -> None:
    import duckdb

    secret = tmp_path / "secret.csv"
    secret.write_text("1,2\n")
    reading, writing = os.pipe()
    engine = Engine(f"/dev/fd/{reading}")
    try:
        for sql in (
            f"SELECT * FROM read_csv('{secret}')",
            f"SELECT * FROM read_text('{secret}')",
            f"SELECT * FROM glob('{tmp_path}/*')",
            f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
            f"ATTACH '{tmp_path}/x.db'",
            "INSTALL httpfs",
            "SELECT * FROM read_csv('http://127.0.0.1:1/x')",
            "SET enable_external_access=true",
            "SET lock_configuration=false",
            "SET memory_limit='10GB'",
        ):
            with pytest.raises(duckdb.Error):
                engine._connection.execute(sql).fetchall()
    finally:
        engine.close()
        os.close(reading)
        os.close(writing)
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret.csv"]


_words = st.sampled_from(
    [
        "SELECT",
        "FROM",
        "S3Object",
        "s.a",
        "_1",
        ",",
        "*",
        "(",
        ")",
        "WHERE",
        "AND",
        "OR",
        "NOT",
        "=",
        "<",
        "'x'",
        "1",
        "2.5",
        "NULL",
        "IS",
        "LIKE",
        "IN",
        "BETWEEN",
        "CASE",
        "WHEN",
        "THEN",
        "END",
        "CAST",
        "AS",
        "INT",
        "COUNT",
        "SUM",
        "||",
        "+",
        "-",
        "/",
        "s",
        "[",
        "]",
        ".",
        "`2017T`",
        "LIMIT",
        "TRIM",
        "SUBSTRING",
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.lists(_words, max_size=14).map(" ".join), st.text(max_size=40)))
def test_any_text_is_a_query_or_is_refused(text: str) -> None:
    for expression in (
        text,
        f"SELECT {text} FROM S3Object s",
        f"SELECT * FROM S3Object s WHERE {text}",
    ):
        try:
            plan(
                parsed(expression),
                Table(CSV, ("a",), headers=True),
                datetime(2030, 1, 1, tzinfo=UTC),
            )
        except SelectRefused:
            continue


def test_a_refusal_is_one_of_aws_codes() -> None:
    error: AwsError = SelectRefused("CastFailed")
    assert (error.code, error.status) == ("CastFailed", 400)
    assert SelectRefused("Busy").status == 503
