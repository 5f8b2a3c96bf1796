"""S3 Select's SQL: one table, no joins, no grouping, no order. Text in, a tree out. Pure.

Nothing of what a user writes reaches the engine as it is written: only this tree does, through
`select_plan`. So what the grammar here does not know cannot happen.
Source: "SQL reference for Amazon S3 Select" in the S3 user guide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from doppio.services.s3.select_errors import SelectRefused
from doppio.services.s3.select_tokens import Token, tokens

# As deep as an expression may be; AWS does not say, the engine does.
DEPTH_MAX = 40
AGGREGATES = frozenset({"AVG", "COUNT", "MAX", "MIN", "SUM"})
DATE_PARTS = frozenset({"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"})
TYPES = frozenset(
    {"BOOL", "BOOLEAN", "INT", "INTEGER", "STRING", "FLOAT", "DECIMAL", "NUMERIC", "TIMESTAMP"}
)
# How many arguments each takes, at least and at most.
FUNCTIONS = {
    "COALESCE": (1, 100),
    "NULLIF": (2, 2),
    "CHAR_LENGTH": (1, 1),
    "CHARACTER_LENGTH": (1, 1),
    "LOWER": (1, 1),
    "UPPER": (1, 1),
    "TO_STRING": (2, 2),
    "TO_TIMESTAMP": (1, 1),
    "UTCNOW": (0, 0),
}
_RESERVED = frozenset(
    {"SELECT", "FROM", "WHERE", "LIMIT", "AND", "OR", "NOT", "IN", "IS", "LIKE", "ESCAPE",
     "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END", "AS", "NULL", "TRUE", "FALSE", "MISSING",
     "CAST", "GROUP", "ORDER", "HAVING", "JOIN", "UNION", "DISTINCT"}
)  # fmt: skip
_COMPARISONS = ("=", "<>", "!=", "<", "<=", ">", ">=")


class Literal(NamedTuple):
    """A value; `kind` is int, float, string, bool, null or timestamp."""

    kind: str
    value: Any


class Path(NamedTuple):
    """A column, or what lies in it: names (with whether they were quoted), positions, `*`."""

    steps: tuple[tuple[str, bool] | int, ...]


class Call(NamedTuple):
    """A function, operator or form, by its name in capitals, with what it is applied to.

    `words` are what is no value: the type of a CAST, the part of a date, the side of a TRIM.
    """

    name: str
    args: tuple[Node, ...]
    words: tuple[str, ...] = ()


Node = Literal | Path | Call


class Column(NamedTuple):
    """One of what is selected, with its alias."""

    node: Node
    alias: str | None


class Query(NamedTuple):
    """A whole query. No `columns`: all of them. `source` is the path behind `S3Object[*]`."""

    columns: tuple[Column, ...]
    source: tuple[str | int, ...]
    alias: str | None
    where: Node | None
    limit: int | None


def parsed(expression: str) -> Query:
    """The query that an expression is. Raises SelectRefused."""
    return _Parser(tokens(expression)).query()


class _Parser:
    """Recursive descent, with a bound on its depth."""

    def __init__(self, words: list[Token]) -> None:
        self._words = words
        self._at = 0
        self._depth = 0
        self._aggregates = 0
        self._in_aggregate = False

    @property
    def _word(self) -> Token:
        return self._words[self._at]

    def _next(self) -> Token:
        word = self._words[self._at]
        if word.kind != "end":
            self._at += 1
        return word

    def _takes(self, *words: str) -> Token | None:
        return self._next() if self._word.says(*words) else None

    def _must(self, word: str, code: str = "ParseUnexpectedToken") -> None:
        if self._takes(word) is None:
            raise SelectRefused(code)

    def query(self) -> Query:
        self._must("SELECT", "ParseExpectedKeyword")
        if self._word.says("DISTINCT", "ALL"):
            raise SelectRefused("UnsupportedSqlStructure")
        columns: list[Column] = []
        everything = self._takes("*") is not None
        if not everything:
            columns.append(self._column())
            while self._takes(","):
                columns.append(self._column())
        selected = self._aggregates
        self._must("FROM", "ParseSelectMissingFrom")
        source, alias = self._source()
        where = None
        if self._takes("WHERE"):
            where = self._expression()
            if self._aggregates != selected:
                raise SelectRefused("UnsupportedSqlStructure")
        limit = None
        if self._takes("LIMIT"):
            word = self._next()
            if word.kind != "number" or not word.text.isdigit() or len(word.text) > 18:
                raise SelectRefused("ParseUnexpectedToken")
            limit = int(word.text)
        if self._word.says("GROUP", "ORDER", "HAVING", "JOIN", "UNION", ","):
            raise SelectRefused("UnsupportedSqlStructure")
        if self._word.kind != "end":
            raise SelectRefused("ParseUnexpectedToken")
        if len(columns) == 1 and _is_star(columns[0].node, alias):
            columns = []
        if selected and any(not _aggregated(column.node) for column in columns):
            # Nothing is grouped, so a column beside a sum would have no one value.
            raise SelectRefused("UnsupportedSqlStructure")
        return Query(tuple(columns), source, alias, where, limit)

    def _column(self) -> Column:
        node = self._expression()
        alias = None
        if self._takes("AS"):
            alias = self._name("ParseExpectedIdentForAlias")
        elif self._word.kind in {"name", "quoted"} and not self._reserved():
            alias = self._next().text
        return Column(node, alias)

    def _reserved(self) -> bool:
        return self._word.kind == "name" and self._word.text.upper() in _RESERVED

    def _name(self, code: str) -> str:
        if self._word.kind not in {"name", "quoted"} or self._reserved():
            raise SelectRefused(code)
        return self._next().text

    def _source(self) -> tuple[tuple[str | int, ...], str | None]:
        word = self._next()
        if word.kind not in {"name", "quoted"} or word.text.upper() not in {"S3OBJECT", "OBJECT"}:
            raise SelectRefused("InvalidDataSource", "The FROM clause must name S3Object.")
        steps: list[str | int] = []
        while True:
            if self._takes("["):
                steps.append("*" if self._takes("*") else self._index())
                self._must("]")
            elif self._takes("."):
                steps.append("." + self._name("ParseUnexpectedToken"))
            else:
                break
        if steps[:1] == ["*"]:
            steps.pop(0)
        alias = None
        if self._takes("AS"):
            alias = self._name("InvalidTableAlias")
        elif self._word.kind in {"name", "quoted"} and not self._reserved():
            alias = self._next().text
        return tuple(steps), alias

    def _index(self) -> int:
        word = self._next()
        if word.kind != "number" or not word.text.isdigit() or len(word.text) > 9:
            raise SelectRefused("ParseUnexpectedToken")
        return int(word.text)

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise SelectRefused("UnsupportedSyntax")
        found = self._chain("OR", lambda: self._chain("AND", self._negation))
        self._depth -= 1
        return found

    def _chain(self, word: str, inner: Callable[[], Node]) -> Node:
        args = [inner()]
        while self._takes(word):
            args.append(inner())
        return args[0] if len(args) == 1 else Call(word, tuple(args))

    def _negation(self) -> Node:
        if self._takes("NOT") is None:
            return self._comparison()
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise SelectRefused("UnsupportedSyntax")
        found = Call("NOT", (self._negation(),))
        self._depth -= 1
        return found

    def _comparison(self) -> Node:
        left = self._sum()
        word = self._takes(*_COMPARISONS)
        if word is not None:
            return Call("<>" if word.text == "!=" else word.text, (left, self._sum()))
        if self._takes("IS"):
            no = self._takes("NOT") is not None
            kind = self._takes("NULL", "MISSING")
            if kind is None:
                raise SelectRefused("ParseExpectedKeyword")
            return _perhaps(no, Call(f"IS {kind.text.upper()}", (left,)))
        no = self._takes("NOT") is not None
        if self._takes("BETWEEN"):
            low = self._sum()
            self._must("AND", "ParseExpectedKeyword")
            return _perhaps(no, Call("BETWEEN", (left, low, self._sum())))
        if self._takes("IN"):
            self._must("(")
            return _perhaps(no, Call("IN", (left, *self._arguments())))
        if self._takes("LIKE"):
            args = [left, self._sum()]
            if self._takes("ESCAPE"):
                args.append(self._sum())
            return _perhaps(no, Call("LIKE", tuple(args)))
        if no:
            raise SelectRefused("ParseExpectedKeyword")
        return left

    def _sum(self) -> Node:
        return self._left(("+", "-", "||"), lambda: self._left(("*", "/", "%"), self._unary))

    def _left(self, operators: tuple[str, ...], inner: Callable[[], Node]) -> Node:
        found = inner()
        begun = self._depth
        while (word := self._takes(*operators)) is not None:
            # Each step makes the tree one deeper, whoever walks it.
            self._depth += 1
            if self._depth > DEPTH_MAX:
                raise SelectRefused("UnsupportedSyntax")
            found = Call(word.text, (found, inner()))
        self._depth = begun
        return found

    def _unary(self) -> Node:
        signs = 0
        while (sign := self._takes("-", "+")) is not None:
            signs += sign.text == "-"
        found = self._primary()
        if not signs % 2:
            return found
        if isinstance(found, Literal) and found.kind in {"int", "float"}:
            return Literal(found.kind, f"-{found.value}")
        return Call("NEGATE", (found,))

    def _primary(self) -> Node:
        word = self._word
        if word.kind in {"string", "number", "ion"}:
            return _literal(self._next())
        if self._takes("("):
            found = self._expression()
            self._must(")")
            return found
        if word.kind == "quoted":
            return self._path()
        if word.kind != "name":
            raise SelectRefused("ParseExpectedExpression")
        name = word.text.upper()
        if name in {"NULL", "MISSING", "TRUE", "FALSE"}:
            self._next()
            if name in {"NULL", "MISSING"}:
                return Literal("null", None)
            return Literal("bool", name == "TRUE")
        if name == "CASE":
            self._next()
            return self._case()
        if self._words[self._at + 1].says("("):
            return self._call(name)
        if name in _RESERVED:
            raise SelectRefused("ParseExpectedExpression")
        return self._path()

    def _path(self) -> Path:
        word = self._next()
        steps: list[tuple[str, bool] | int] = [(word.text, word.kind == "quoted")]
        while True:
            if self._takes("."):
                if self._takes("*"):
                    steps.append(("*", False))
                    break
                if self._word.kind not in {"name", "quoted"}:
                    raise SelectRefused("ParseUnexpectedToken")
                word = self._next()
                steps.append((word.text, word.kind == "quoted"))
            elif self._takes("["):
                if self._word.kind == "string":
                    steps.append((self._next().text, True))
                else:
                    steps.append(self._index())
                self._must("]")
            else:
                break
        return Path(tuple(steps))

    def _case(self) -> Node:
        args: list[Node] = []
        words: list[str] = []
        if not self._word.says("WHEN"):
            args.append(self._expression())
            words.append("OF")
        while self._takes("WHEN"):
            args.append(self._expression())
            self._must("THEN", "ParseExpectedKeyword")
            args.append(self._expression())
            words.append("WHEN")
        if "WHEN" not in words:
            raise SelectRefused("ParseExpectedKeyword")
        if self._takes("ELSE"):
            args.append(self._expression())
            words.append("ELSE")
        self._must("END", "ParseExpectedKeyword")
        return Call("CASE", tuple(args), tuple(words))

    def _arguments(self) -> tuple[Node, ...]:
        """What stands in parentheses, whose left one has been read."""
        if self._takes(")"):
            return ()
        args = [self._expression()]
        while self._takes(","):
            args.append(self._expression())
        self._must(")")
        return tuple(args)

    def _call(self, name: str) -> Node:
        self._next()
        self._must("(")
        if name in AGGREGATES:
            return self._aggregate(name)
        form = getattr(self, f"_{name.lower()}_form", None) if name in _FORMS else None
        if form is not None:
            found: Node = form()
            return found
        if name not in FUNCTIONS:
            raise SelectRefused("UnsupportedFunction")
        args = self._arguments()
        least, most = FUNCTIONS[name]
        if not least <= len(args) <= most:
            raise SelectRefused("EvaluatorInvalidArguments")
        return Call(name, args)

    def _aggregate(self, name: str) -> Node:
        if self._in_aggregate:
            raise SelectRefused("UnsupportedSqlStructure")
        self._aggregates += 1
        if name == "COUNT" and self._takes("*"):
            self._must(")")
            return Call("COUNT", ())
        self._in_aggregate = True
        args = self._arguments()
        self._in_aggregate = False
        if len(args) != 1:
            raise SelectRefused("EvaluatorInvalidArguments")
        return Call(name, args)

    def _cast_form(self) -> Node:
        value = self._expression()
        self._must("AS", "ParseExpectedKeyword")
        kind = self._next()
        if kind.kind != "name" or kind.text.upper() not in TYPES:
            raise SelectRefused("ParseExpectedTypeName")
        words = [kind.text.upper()]
        if self._takes("("):
            words.append(str(self._index()))
            if self._takes(","):
                words.append(str(self._index()))
            self._must(")")
        self._must(")")
        return Call("CAST", (value,), tuple(words))

    def _substring_form(self) -> Node:
        args = [self._expression()]
        if self._takes("FROM"):
            args.append(self._expression())
            if self._takes("FOR"):
                args.append(self._expression())
        else:
            while self._takes(","):
                args.append(self._expression())
        self._must(")")
        if not 2 <= len(args) <= 3:
            raise SelectRefused("EvaluatorInvalidArguments")
        return Call("SUBSTRING", tuple(args))

    def _trim_form(self) -> Node:
        side = self._takes("LEADING", "TRAILING", "BOTH")
        args: list[Node] = []
        if not self._word.says("FROM"):
            args.append(self._expression())
        if self._takes("FROM"):
            args.insert(0, self._expression())
        elif side is not None:
            raise SelectRefused("ParseExpectedKeyword")
        self._must(")")
        return Call("TRIM", tuple(args), ("BOTH" if side is None else side.text.upper(),))

    def _extract_form(self) -> Node:
        part = self._part()
        self._must("FROM", "ParseExpectedKeyword")
        value = self._expression()
        self._must(")")
        return Call("EXTRACT", (value,), (part,))

    def _date_add_form(self) -> Node:
        return self._dates("DATE_ADD")

    def _date_diff_form(self) -> Node:
        return self._dates("DATE_DIFF")

    def _dates(self, name: str) -> Node:
        part = self._part()
        self._must(",")
        first = self._expression()
        self._must(",")
        second = self._expression()
        self._must(")")
        return Call(name, (first, second), (part,))

    def _part(self) -> str:
        word = self._next()
        if word.kind != "name" or word.text.upper() not in DATE_PARTS:
            raise SelectRefused("EvaluatorInvalidArguments", "Expected a date part.")
        return word.text.upper()


_FORMS = frozenset({"CAST", "SUBSTRING", "TRIM", "EXTRACT", "DATE_ADD", "DATE_DIFF"})


def _perhaps(no: bool, node: Call) -> Call:
    return Call("NOT", (node,)) if no else node


def _literal(word: Token) -> Literal:
    if word.kind == "string":
        return Literal("string", word.text)
    if word.kind == "ion":
        return Literal("timestamp", word.text)
    if len(word.text) > 60:
        raise SelectRefused("LexerInvalidLiteral")
    return Literal("int" if word.text.isdigit() else "float", word.text)


def _is_star(node: Node, alias: str | None) -> bool:
    if not isinstance(node, Path) or node.steps[-1] != ("*", False):
        return False
    first = node.steps[0]
    if len(node.steps) != 2 or not isinstance(first, tuple):
        raise SelectRefused("UnsupportedSyntax")
    if first[0].lower() not in {(alias or "s3object").lower(), "s3object"}:
        raise SelectRefused("InvalidTableAlias")
    return True


def _aggregated(node: Node) -> bool:
    """Whether a value is made of aggregates and literals alone."""
    if isinstance(node, Literal):
        return True
    if isinstance(node, Path):
        return False
    return node.name in AGGREGATES or all(map(_aggregated, node.args))
