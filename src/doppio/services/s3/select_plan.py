"""From a query's tree to the engine's SQL, with S3 Select's meaning of values. Pure.

What a file holds is text (CSV) or JSON, whatever it looks like. Beside a number such a value counts
as a number where it is one, beside a timestamp or a boolean as that; else it is a string.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from doppio.services.s3.select_dates import strftime_of
from doppio.services.s3.select_errors import SelectRefused
from doppio.services.s3.select_sql import AGGREGATES, Call, Literal, Node, Path, Query

CSV, JSON, PARQUET = "CSV", "JSON", "Parquet"
# The highest position of a column; no file of any use has more.
COLUMNS_MAX = 4096
_NUMBERS = frozenset({"int", "float", "number"})


class Table(NamedTuple):
    """What is queried: its format, and the names and kinds of its columns (JSON has one)."""

    format: str
    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    headers: bool = False


class Output(NamedTuple):
    """One column of the result; `kind` says how it is written."""

    name: str
    kind: str


class Plan(NamedTuple):
    """SQL that reads from `s3_source`; `positions` is the highest column used."""

    sql: str
    outputs: tuple[Output, ...]
    positions: int


class _Value(NamedTuple):
    """SQL of a value. `kind`: text, json, int, float, number, string, bool, timestamp or null.

    `raw` is a json value as JSON, of which `sql` is the text.
    """

    sql: str
    kind: str
    raw: str = ""


def quoted(text: str) -> str:
    """A string as a literal of SQL. Nothing else of a user's text reaches the engine."""
    if "\0" in text:
        raise SelectRefused("LexerInvalidChar")
    return "'" + text.replace("'", "''") + "'"


def column_name(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def plan(query: Query, table: Table, now: datetime) -> Plan:
    """How the engine answers a query. Raises SelectRefused."""
    return _Planner(query, table, now).plan()


class _Planner:
    def __init__(self, query: Query, table: Table, now: datetime) -> None:
        self._query = query
        self._table = table
        self._now = now
        self._highest = 0

    def plan(self) -> Plan:
        query = self._query
        columns, outputs = self._columns()
        sql = f"SELECT {', '.join(columns)} FROM {self._source()}"  # noqa: S608 (see `quoted`)
        if query.where is not None:
            sql += f" WHERE {self._bool(self._value(query.where))}"
        if query.limit is not None:
            sql += f" LIMIT {query.limit}"
        return Plan(sql, tuple(outputs), self._highest)

    def _source(self) -> str:
        if not self._query.source:
            return "s3_source"
        if self._table.format != JSON:
            raise SelectRefused("InvalidDataSource", "Only JSON has paths in the FROM clause.")
        sql = "s3_source"
        pointer = ""
        for step in self._query.source:
            if step != "*":
                pointer += _pointer(step if isinstance(step, int) else step[1:])
                continue
            # All elements of an array; of what is none there are none.
            inner = f"SELECT {_at(pointer)} AS j FROM {sql}"  # noqa: S608
            elements = "unnest(json_extract(j, '$[*]'))"
            sql = f"(SELECT {elements} AS j FROM ({inner}) WHERE json_type(j) = 'ARRAY')"  # noqa: S608
            pointer = ""
        if pointer:
            place = _at(pointer)
            sql = f"(SELECT {place} AS j FROM {sql} WHERE {place} IS NOT NULL)"  # noqa: S608
        return sql

    def _columns(self) -> tuple[list[str], list[Output]]:
        table = self._table
        if not self._query.columns:
            if table.format == JSON:
                return ["j"], [Output("", "record")]
            if table.format == CSV:
                return ["*"], []
            values = [self._parquet(index, ()) for index in range(len(table.names))]
            outputs = [Output(n, v.kind) for n, v in zip(table.names, values, strict=True)]
            return [value.raw or value.sql for value in values], outputs
        columns, outputs = [], []
        for number, column in enumerate(self._query.columns, start=1):
            value = self._value(column.node)
            columns.append(value.raw or value.sql)
            name = column.alias or _named(column.node) or f"_{number}"
            outputs.append(Output(name, value.kind))
        return columns, outputs

    def _value(self, node: Node) -> _Value:
        if isinstance(node, Literal):
            return _literal(node)
        if isinstance(node, Path):
            return self._path(node)
        if node.name in AGGREGATES:
            return self._aggregate(node)
        make: Callable[[Call], _Value] | None = self._forms().get(node.name)
        if make is not None:
            return make(node)
        return self._compared(node.name, *map(self._value, node.args))

    def _forms(self) -> dict[str, Callable[[Call], _Value]]:
        return {
            "AND": self._logic,
            "OR": self._logic,
            "NOT": lambda node: _Value(f"(NOT {self._bool(self._value(node.args[0]))})", "bool"),
            "IS NULL": lambda node: self._is_null(node, missing=False),
            "IS MISSING": lambda node: self._is_null(node, missing=True),
            "BETWEEN": self._between,
            "IN": self._in,
            "LIKE": self._like,
            "CASE": self._case,
            "CAST": self._cast,
            "COALESCE": self._coalesce,
            "NULLIF": self._nullif,
            "SUBSTRING": self._substring,
            "TRIM": self._trim,
            "LOWER": lambda node: self._of_text("lower", node),
            "UPPER": lambda node: self._of_text("upper", node),
            "CHAR_LENGTH": lambda node: self._of_text("length", node, "int"),
            "CHARACTER_LENGTH": lambda node: self._of_text("length", node, "int"),
            "||": lambda node: _Value(
                f"({' || '.join(_text(self._value(arg)) for arg in node.args)})", "string"
            ),
            "NEGATE": lambda node: self._arithmetic(Call("-", (Literal("int", "0"), *node.args))),
            **dict.fromkeys("+-*/%", self._arithmetic),
            "UTCNOW": lambda node: _Value(
                f"TIMESTAMP '{self._now:%Y-%m-%d %H:%M:%S.%f}'", "timestamp"
            ),
            "TO_TIMESTAMP": lambda node: _Value(_moment(self._value(node.args[0])), "timestamp"),
            "TO_STRING": self._to_string,
            "EXTRACT": self._extract,
            "DATE_ADD": self._date_add,
            "DATE_DIFF": self._date_diff,
        }

    def _path(self, node: Path) -> _Value:
        steps = node.steps
        if ("*", False) in steps:
            raise SelectRefused("UnsupportedSyntax")
        first = steps[0]
        alias = (self._query.alias or "s3object").lower()
        if isinstance(first, tuple) and first[0].lower() in {alias, "s3object"}:
            if len(steps) > 1:
                steps = steps[1:]
            elif self._table.format == JSON:
                return _Value(_text_at(""), "json", "j")
        if self._table.format == JSON:
            pointer = "".join(_pointer(s if isinstance(s, int) else s[0]) for s in steps)
            return _Value(_text_at(pointer), "json", _at(pointer))
        first = steps[0]
        if isinstance(first, int):
            raise SelectRefused("InvalidColumnIndex")
        index = self._index_of(*first)
        if self._table.format == PARQUET:
            return self._parquet(index, steps[1:])
        if len(steps) > 1:
            raise SelectRefused("InvalidTableAlias" if len(steps) == 2 else "UnsupportedSyntax")
        self._highest = max(self._highest, index + 1)
        return _Value(f"c{index + 1}", "text")

    def _index_of(self, name: str, exact: bool) -> int:
        names = self._table.names
        if self._table.headers:
            if name in names:
                return names.index(name)
            if not exact:
                folded = [one.lower() for one in names]
                if name.lower() in folded:
                    return folded.index(name.lower())
        if name.startswith("_") and name[1:].isdecimal() and len(name) < 8:
            number = int(name[1:])
            if not 1 <= number <= COLUMNS_MAX:
                raise SelectRefused("InvalidColumnIndex")
            if self._table.format == PARQUET and number > len(names):
                raise SelectRefused("InvalidColumnIndex")
            return number - 1
        raise SelectRefused("MissingHeaders")

    def _parquet(self, index: int, steps: Sequence[tuple[str, bool] | int]) -> _Value:
        column, kind = column_name(self._table.names[index]), self._table.kinds[index]
        if kind != "json":
            if steps:
                raise SelectRefused("InvalidTableAlias")
            return _Value(column, kind)
        pointer = "".join(_pointer(s if isinstance(s, int) else s[0]) for s in steps)
        whole = f"to_json({column})"
        return _Value(_text_at(pointer, whole), "json", _at(pointer, whole))

    def _aggregate(self, node: Call) -> _Value:
        if not node.args:
            return _Value("count(*)", "int")
        value = self._value(node.args[0])
        if node.name == "COUNT":
            return _Value(f"count({value.sql})", "int")
        name = node.name.lower()
        if node.name in {"MIN", "MAX"} and value.kind == "timestamp":
            return _Value(f"{name}({value.sql})", "timestamp")
        if value.kind == "int":
            if node.name == "SUM":
                return _Value(f"CAST(sum({value.sql}) AS BIGINT)", "int")
            return _Value(f"{name}({value.sql})", "number" if node.name == "AVG" else "int")
        if value.kind in {"float", "number"}:
            return _Value(f"{name}({value.sql})", "number" if node.name == "AVG" else value.kind)
        if value.kind not in {"text", "json", "string", "null"}:
            raise SelectRefused("InvalidDataType")
        return _Value(f"{name}(CAST({value.sql} AS DOUBLE))", "number")

    def _logic(self, node: Call) -> _Value:
        word = f" {node.name} "
        return _Value(f"({word.join(self._bool(self._value(arg)) for arg in node.args)})", "bool")

    def _bool(self, value: _Value) -> str:
        if value.kind in {"bool", "null"}:
            return value.sql
        if value.kind in {"text", "json", "string"}:
            return f"TRY_CAST({value.sql} AS BOOLEAN)"
        raise SelectRefused("InvalidDataType")

    def _compared(self, operator: str, left: _Value, right: _Value) -> _Value:
        kinds = {left.kind, right.kind}
        if "null" in kinds:
            return _Value("CAST(NULL AS BOOLEAN)", "bool")
        if kinds & _NUMBERS:
            sql = f"{_number(left)} {operator} {_number(right)}"
        elif "timestamp" in kinds:
            sql = f"{_moment(left, tries=True)} {operator} {_moment(right, tries=True)}"
        elif "bool" in kinds:
            sql = f"{self._bool(left)} {operator} {self._bool(right)}"
        elif kinds == {"json"}:
            one, other = _number(left), _number(right)
            sql = (
                f"CASE WHEN {one} IS NOT NULL AND {other} IS NOT NULL THEN {one} {operator} "
                f"{other} ELSE {left.sql} {operator} {right.sql} END"
            )
        else:
            sql = f"{left.sql} {operator} {right.sql}"
        return _Value(f"({sql})", "bool")

    def _is_null(self, node: Call, *, missing: bool) -> _Value:
        value = self._value(node.args[0])
        return _Value(f"({value.raw if missing and value.raw else value.sql} IS NULL)", "bool")

    def _between(self, node: Call) -> _Value:
        value, low, high = map(self._value, node.args)
        above, below = self._compared(">=", value, low), self._compared("<=", value, high)
        return _Value(f"({above.sql} AND {below.sql})", "bool")

    def _in(self, node: Call) -> _Value:
        value, *others = map(self._value, node.args)
        if not others:
            return _Value("FALSE", "bool")
        kinds = {other.kind for other in others}
        if kinds == {"string"} and value.kind in {"text", "json", "string"}:
            sql = f"{value.sql} IN ({', '.join(other.sql for other in others)})"
        elif kinds <= _NUMBERS:
            sql = f"{_number(value)} IN ({', '.join(other.sql for other in others)})"
        else:
            sql = " OR ".join(self._compared("=", value, other).sql for other in others)
        return _Value(f"({sql})", "bool")

    def _like(self, node: Call) -> _Value:
        value, pattern = (_text(self._value(arg)) for arg in node.args[:2])
        sql = f"{value} LIKE {pattern}"
        if len(node.args) == 3:
            escape = node.args[2]
            if not isinstance(escape, Literal) or escape.kind != "string":
                raise SelectRefused("LikeInvalidInputs")
            if len(escape.value) != 1:
                raise SelectRefused("LikeInvalidInputs")
            sql += f" ESCAPE {quoted(escape.value)}"
        return _Value(f"({sql})", "bool")

    def _case(self, node: Call) -> _Value:
        args = list(node.args)
        of = self._value(args.pop(0)) if "OF" in node.words else None
        branches: list[tuple[str, _Value]] = []
        for _ in range(node.words.count("WHEN")):
            when, then = self._value(args.pop(0)), self._value(args.pop(0))
            test = self._bool(when) if of is None else self._compared("=", of, when).sql
            branches.append((test, then))
        otherwise = self._value(args.pop(0)) if args else _Value("NULL", "null")
        kind, alike = _alike([*(then for _, then in branches), otherwise])
        whens = " ".join(
            f"WHEN {test} THEN {then}" for (test, _), then in zip(branches, alike, strict=False)
        )
        return _Value(f"(CASE {whens} ELSE {alike[-1]} END)", kind)

    def _coalesce(self, node: Call) -> _Value:
        kind, alike = _alike([self._value(arg) for arg in node.args])
        return _Value(f"coalesce({', '.join(alike)})", kind)

    def _nullif(self, node: Call) -> _Value:
        value, other = map(self._value, node.args)
        same = self._compared("=", value, other).sql
        kind, (shown,) = _alike([value])
        return _Value(f"(CASE WHEN {same} THEN NULL ELSE {shown} END)", kind)

    def _cast(self, node: Call) -> _Value:
        value, wanted = self._value(node.args[0]), node.words[0]
        if wanted in {"INT", "INTEGER"}:
            return _Value(f"CAST({value.sql} AS BIGINT)", "int")
        if wanted == "FLOAT":
            return _Value(f"CAST({value.sql} AS DOUBLE)", "float")
        if wanted in {"DECIMAL", "NUMERIC"}:
            precision = int(node.words[1]) if len(node.words) > 1 else 38
            scale = int(node.words[2]) if len(node.words) > 2 else 0 if len(node.words) == 2 else 10
            if not 1 <= precision <= 38 or scale > precision:
                raise SelectRefused("InvalidDataType")
            return _Value(f"CAST({value.sql} AS DECIMAL({precision}, {scale}))", "number")
        if wanted in {"BOOL", "BOOLEAN"}:
            return _Value(f"CAST({value.sql} AS BOOLEAN)", "bool")
        if wanted == "TIMESTAMP":
            return _Value(_moment(value), "timestamp")
        return _Value(_text(value), "string")

    def _of_text(self, function: str, node: Call, kind: str = "string") -> _Value:
        return _Value(f"{function}({_text(self._value(node.args[0]))})", kind)

    def _substring(self, node: Call) -> _Value:
        text = _text(self._value(node.args[0]))
        places = [f"CAST({_number(self._value(arg))} AS BIGINT)" for arg in node.args[1:]]
        start = places[0]
        if len(places) == 1:
            return _Value(f"substring({text}, greatest({start}, 1))", "string")
        # Positions before the first character count, though there is nothing there.
        length = f"greatest({places[1]} + least({start}, 1) - 1, 0)"
        return _Value(f"substring({text}, greatest({start}, 1), {length})", "string")

    def _trim(self, node: Call) -> _Value:
        function = {"LEADING": "ltrim", "TRAILING": "rtrim", "BOTH": "trim"}[node.words[0]]
        return _Value(
            f"{function}({', '.join(_text(self._value(a)) for a in node.args)})", "string"
        )

    def _arithmetic(self, node: Call) -> _Value:
        left, right = map(self._value, node.args)
        if "null" in {left.kind, right.kind}:
            return _Value("NULL", "null")
        if left.kind == right.kind == "int":
            operator = "//" if node.name == "/" else node.name
            return _Value(f"({left.sql} {operator} {right.sql})", "int")
        kind = "float" if "float" in {left.kind, right.kind} else "number"
        sql = f"(CAST({_must_number(left)} AS DOUBLE) {node.name} {_must_number(right)})"
        return _Value(sql, kind)

    def _to_string(self, node: Call) -> _Value:
        pattern = node.args[1]
        if not isinstance(pattern, Literal) or pattern.kind != "string":
            raise SelectRefused("UnsupportedSyntax")
        shape = quoted(strftime_of(pattern.value))
        return _Value(f"strftime({_moment(self._value(node.args[0]))}, {shape})", "string")

    def _extract(self, node: Call) -> _Value:
        value = _moment(self._value(node.args[0]))
        return _Value(f"CAST(date_part('{node.words[0].lower()}', {value}) AS BIGINT)", "int")

    def _date_add(self, node: Call) -> _Value:
        amount, value = map(self._value, node.args)
        step = f"CAST({_number(amount)} AS INTEGER)"
        moment = f"({_moment(value)} + to_{node.words[0].lower()}s({step}))"
        return _Value(moment, "timestamp")

    def _date_diff(self, node: Call) -> _Value:
        first, second = (_moment(self._value(arg)) for arg in node.args)
        return _Value(f"date_sub('{node.words[0].lower()}', {first}, {second})", "int")


def _literal(node: Literal) -> _Value:
    if node.kind == "null":
        return _Value("NULL", "null")
    if node.kind == "string":
        return _Value(quoted(node.value), "string")
    if node.kind == "timestamp":
        return _Value(f"s3_moment({quoted(node.value)})", "timestamp")
    if node.kind == "bool":
        return _Value("TRUE" if node.value else "FALSE", "bool")
    if node.kind == "int" and len(str(node.value)) <= 19:
        return _Value(f"CAST({node.value} AS BIGINT)", "int")
    return _Value(f"CAST({node.value} AS DOUBLE)", "float")


def _named(node: Node) -> str | None:
    last = node.steps[-1] if isinstance(node, Path) else None
    return last[0] if isinstance(last, tuple) else None


def _pointer(step: str | int) -> str:
    """One step of a JSON pointer."""
    return "/" + str(step).replace("~", "~0").replace("/", "~1")


def _at(pointer: str, of: str = "j") -> str:
    return f"json_extract({of}, {quoted(pointer)})" if pointer else of


def _text_at(pointer: str, of: str = "j") -> str:
    return f"json_extract_string({of}, {quoted(pointer or '$')})"


def _text(value: _Value) -> str:
    if value.kind in {"text", "json", "string", "null"}:
        return value.sql
    if value.kind == "timestamp":
        return f"strftime({value.sql}, '%Y-%m-%dT%H:%M:%SZ')"
    return f"CAST({value.sql} AS VARCHAR)"


def _number(value: _Value) -> str:
    if value.kind in _NUMBERS or value.kind == "null":
        return value.sql
    if value.kind in {"text", "json", "string"}:
        return f"TRY_CAST({value.sql} AS DOUBLE)"
    raise SelectRefused("InvalidDataType")


def _must_number(value: _Value) -> str:
    if value.kind in {"text", "json", "string"}:
        return f"CAST({value.sql} AS DOUBLE)"
    return _number(value)


def _moment(value: _Value, *, tries: bool = False) -> str:
    if value.kind in {"timestamp", "null"}:
        return value.sql
    if value.kind not in {"text", "json", "string"}:
        raise SelectRefused("InvalidDataType")
    return f"{'s3_tried' if tries else 's3_moment'}({value.sql})"


def _alike(values: Sequence[_Value]) -> tuple[str, list[str]]:
    """Values of one kind: the kind, and their SQL as such."""
    kinds = {value.kind for value in values} - {"null"}
    if not kinds:
        return "null", [value.sql for value in values]
    if len(kinds) == 1 and kinds != {"json"}:
        return kinds.pop(), [value.sql for value in values]
    if kinds <= _NUMBERS:
        return "number", [f"CAST({value.sql} AS DOUBLE)" for value in values]
    return "string", [_text(value) for value in values]
