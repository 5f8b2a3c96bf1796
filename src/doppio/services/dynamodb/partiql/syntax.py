"""The grammar of statements: from text to a `Statement`, read once and remembered.

Conditions and updates become the trees of `expressions.syntax`, so that they mean in PartiQL what
they mean elsewhere. Values are named by their order: ("value", ":3").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Path
from doppio.services.dynamodb.expressions.syntax import Tree
from doppio.services.dynamodb.limits import EXPRESSION_OPERATORS_MAX, IN_OPERANDS_MAX
from doppio.services.dynamodb.partiql.tokens import END, KEYWORDS, Token, malformed, tokens
from doppio.services.dynamodb.partiql.values import Template

DEPTH_MAX = 100
_COMPARE = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TESTS = ("BEGINS_WITH", "CONTAINS", "ATTRIBUTE_TYPE")
_CHANGES = ("LIST_APPEND", "SET_ADD", "SET_DELETE")
T = TypeVar("T")


class Statement(msgspec.Struct, frozen=True):
    """A statement that was read. `verb` is SELECT, INSERT, UPDATE, DELETE or EXISTS.

    `paths` are what a SELECT shows, None for all. `order` are names and whether they descend.
    `clauses` are an UPDATE's, as an update expression has them. `returning` is in the words of
    `ReturnValues`. `values` are the templates of all values, `parameters` how many `?` there are.
    """

    verb: str
    table: str
    index_name: str | None = None
    paths: tuple[Path, ...] | None = None
    where: Tree | None = None
    order: tuple[tuple[str, bool], ...] = ()
    item: str | None = None
    clauses: dict[str, tuple[Tree, ...]] = {}
    returning: str = "NONE"
    values: dict[str, Template] = {}
    parameters: int = 0

    @property
    def reads(self) -> bool:
        """Whether it only reads."""
        return self.verb == "SELECT"


@lru_cache(maxsize=4_096)
def read(text: str) -> Statement:
    """The statement of a text. Raises ValidationException."""
    return _Reader(text).statement()


class _Reader:
    """A recursive-descent reader."""

    def __init__(self, text: str) -> None:
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0
        self._operators = 0
        self._values: dict[str, Template] = {}
        self._parameters = 0

    def peek(self, ahead: int = 0) -> Token:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else END

    def next(self) -> Token:
        token = self.peek()
        self._at += 1
        return token

    def take(self, *words: str) -> bool:
        """Pass over these words or signs, if they come now."""
        for ahead, word in enumerate(words):
            token = self.peek(ahead)
            if word not in (token.word, token.text if token.kind == "op" else None):
                return False
        self._at += len(words)
        return True

    def expect(self, word: str, what: str = "") -> None:
        if not self.take(word):
            raise malformed(what or f"Expected {word}")

    def nested(self, inner: Callable[[], T]) -> T:
        """What `inner` reads, one level deeper."""
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise malformed("Statement is nested too deeply")
        found = inner()
        self._depth -= 1
        return found

    # Statements.

    def statement(self) -> Statement:
        if self.take("SELECT"):
            found = self.select("SELECT")
        elif self.take("EXISTS"):
            self.expect("(", "Expected left parenthesis")
            self.expect("SELECT", "Expected SELECT in EXISTS")
            found = self.select("EXISTS")
            self.expect(")", "Expected right parenthesis")
        elif self.take("INSERT"):
            found = self.insert()
        elif self.take("UPDATE"):
            found = self.update()
        elif self.take("DELETE"):
            found = self.delete()
        else:
            raise malformed("Unexpected keyword" if self.peek().word else "Unexpected term")
        if self.peek() is not END:
            raise malformed("Unexpected term after expression")
        return replace(found, values=self._values, parameters=self._parameters)

    def select(self, verb: str) -> Statement:
        paths = None
        if not self.take("*"):
            paths = tuple(self.several(self.shown))
        self.expect("FROM", "Expected FROM after select list")
        table, index = self.source()
        where = self.where()
        order: tuple[tuple[str, bool], ...] = ()
        if self.take("ORDER"):
            self.expect("BY", "Expected BY after ORDER")
            order = tuple(self.several(self.ordering))
        for word in ("GROUP", "HAVING", "LIMIT", "UNION"):
            if self.take(word):
                raise ValidationException(f"Unsupported clause: {word}")
        return Statement(verb, table, index, paths=paths, where=where, order=order)

    def insert(self) -> Statement:
        self.expect("INTO", "Expected INTO after INSERT")
        table = self.target()
        if self.take("VALUES"):
            raise ValidationException("Unsupported clause: VALUES")
        self.expect("VALUE", "Expected VALUE in INSERT")
        if self.peek().text not in ("{", "?") or self.peek().kind != "op":
            raise ValidationException("Expected a tuple as the value of an INSERT")
        return Statement("INSERT", table, item=self.value())

    def update(self) -> Statement:
        table = self.target()
        clauses: dict[str, tuple[Tree, ...]] = {}
        while True:
            if self.take("SET"):
                clauses["SET"] = (*clauses.get("SET", ()), *self.several(self.assignment))
            elif self.take("REMOVE"):
                removed = tuple((path,) for path in self.several(self.path))
                clauses["REMOVE"] = (*clauses.get("REMOVE", ()), *removed)
            else:
                break
        if not clauses:
            raise malformed("Expected SET or REMOVE in UPDATE")
        where = self.where()
        return Statement("UPDATE", table, where=where, clauses=clauses, returning=self.returning())

    def delete(self) -> Statement:
        self.expect("FROM", "Expected FROM after DELETE")
        table = self.target()
        where = self.where()
        returning = self.returning()
        if returning not in ("NONE", "ALL_OLD"):
            raise ValidationException("Unsupported RETURNING clause: DELETE returns ALL OLD * only")
        return Statement("DELETE", table, where=where, returning=returning)

    def several(self, one: Callable[[], T]) -> list[T]:
        """Things with commas between."""
        found = [one()]
        while self.take(","):
            found.append(one())
        return found

    def shown(self) -> Path:
        if self.peek().kind == "word" and self.peek(1).text == "(":
            raise ValidationException(f"Unsupported function in projection: {self.peek().text}")
        path: Path = self.path()[1]
        if self.take("AS"):
            raise ValidationException("Aliasing is not supported")
        return path

    def source(self) -> tuple[str, str | None]:
        """A table, and perhaps an index of it."""
        table = self.name("Expected identifier for simple path")
        index = self.name("Expected identifier for simple path") if self.take(".") else None
        if self.take("AS") or (self.peek().kind in ("word", "name") and not self._is_keyword()):
            raise ValidationException("Aliasing is not supported")
        if self.take(","):
            raise ValidationException("Only select from a single table or index is supported.")
        return table, index

    def target(self) -> str:
        table, index = self.source()
        if index is not None:
            raise ValidationException("Index updates are not supported: write to the table")
        return table

    def where(self) -> Tree | None:
        return self.disjunction() if self.take("WHERE") else None

    def ordering(self) -> tuple[str, bool]:
        name = self.name("Expected identifier in ORDER BY")
        descends = self.take("DESC")
        if not descends:
            self.take("ASC")
        return name, descends

    def returning(self) -> str:
        if not self.take("RETURNING"):
            return "NONE"
        for what, shown in (("ALL", "ALL"), ("MODIFIED", "UPDATED")):
            for when in ("OLD", "NEW"):
                if self.take(what, when, "*"):
                    return f"{shown}_{when}"
        raise malformed("Expected ALL or MODIFIED, OLD or NEW, and * in RETURNING")

    # Names and paths.

    def name(self, otherwise: str) -> str:
        token = self.next()
        if token.kind == "name" and token.text:
            return token.text
        if token.kind != "word" or token.word in KEYWORDS:
            raise malformed(otherwise)
        return token.text

    def _is_keyword(self) -> bool:
        return self.peek().word in KEYWORDS

    def path(self) -> Tree:
        parts: list[str | int] = [self.name("Expected identifier for simple path")]
        while True:
            if self.take("."):
                parts.append(self.name("Expected identifier for simple path"))
            elif self.take("["):
                token = self.next()
                if token.kind == "number" and token.text.isdigit():
                    parts.append(int(token.text))
                elif token.kind == "string":
                    parts.append(token.text)
                else:
                    raise malformed("Unexpected path component")
                self.expect("]", "Expected right bracket")
            else:
                return ("path", tuple(parts))

    # Values.

    def value(self) -> str:
        """The name of a value that stands here."""
        name = f":{len(self._values)}"
        self._values[name] = ("NULL", True)  # Its place: what is nested in it has no name.
        self._values[name] = self.template()
        return name

    def template(self) -> Template:
        return self.nested(self._template)

    def _template(self) -> Template:
        token = self.next()
        if token.kind == "string":
            return ("S", token.text)
        if token.kind == "number":
            return ("N", token.text)
        if token.word in ("TRUE", "FALSE"):
            return ("BOOL", token.word == "TRUE")
        if token.word == "NULL":
            return ("NULL", True)
        sign = token.text if token.kind == "op" else ""
        if sign in ("-", "+") and self.peek().kind == "number":
            return ("N", (sign + self.next().text).lstrip("+"))
        if sign == "?":
            self._parameters += 1
            return ("?", self._parameters - 1)
        if sign == "{":
            return ("M", dict(self._until("}", self._member)))
        if sign == "[":
            return ("L", tuple(self._until("]", self.template)))
        if sign == "<<":
            return ("set", tuple(self._until(">>", self.template)))
        raise malformed("Unexpected keyword" if token.word else "Unexpected term")

    def _until(self, end: str, one: Callable[[], T]) -> list[T]:
        if self.take(end):
            return []
        found = self.several(one)
        self.expect(end, f"Expected {end}")
        return found

    def _member(self) -> tuple[str, Template]:
        token = self.next()
        if token.kind != "string":
            raise malformed("Expected a string as the name of an attribute")
        self.expect(":", "Expected colon after the name of an attribute")
        return token.text, self.template()

    def _is_value(self) -> bool:
        token = self.peek()
        return (
            token.kind in ("string", "number")
            or token.word in ("TRUE", "FALSE", "NULL")
            or (token.kind == "op" and token.text in ("?", "{", "[", "<<", "-", "+"))
        )

    # Conditions.

    def counted(self) -> None:
        self._operators += 1
        if self._operators > EXPRESSION_OPERATORS_MAX:
            raise ValidationException(
                f"The expression has more than {EXPRESSION_OPERATORS_MAX} operators;"
            )

    def disjunction(self) -> Tree:
        left = self.conjunction()
        while self.take("OR"):
            self.counted()
            left = ("or", left, self.conjunction())
        return left

    def conjunction(self) -> Tree:
        left = self.negation()
        while self.take("AND"):
            self.counted()
            left = ("and", left, self.negation())
        return left

    def negation(self) -> Tree:
        if self.take("NOT"):
            self.counted()
            return ("not", self.nested(self.negation))
        return self.primary()

    def primary(self) -> Tree:
        if self.take("("):
            inner = self.nested(self.disjunction)
            self.expect(")", "Expected right parenthesis")
            return inner
        self.counted()
        if self.peek().kind == "word" and self.peek(1).text == "(":
            word = self.peek().word
            if word in _TESTS:
                self._at += 2
                arguments = self.several(self.operand)
                self.expect(")", "Expected right parenthesis")
                if len(arguments) != 2:
                    raise ValidationException(f"Incorrect number of arguments for function {word}")
                return ("call", word.lower(), *arguments)
            if word == "EXISTS":
                raise ValidationException(
                    "EXISTS is supported as a statement of a transaction only"
                )
        return self.predicate(self.operand())

    def predicate(self, left: Tree) -> Tree:
        if self.take("IS"):
            return self._being(left)
        if self.take("NOT"):
            if self.peek().word not in ("BETWEEN", "IN"):
                raise malformed("Unexpected keyword")
            return ("not", self.predicate(left))
        if self.take("BETWEEN"):
            low = self.operand()
            self.expect("AND", "Expected AND in BETWEEN")
            return ("between", left, low, self.operand())
        if self.take("IN"):
            return self._within(left)
        if self.take("LIKE"):
            raise ValidationException("Unsupported operator: LIKE")
        token = self.next()
        sign = _COMPARE.get(token.text) if token.kind == "op" else None
        if sign is None:
            raise malformed("Unexpected operator" if token.kind == "op" else "Unexpected term")
        right = self.operand()
        if left[0] == "value" and right[0] != "value":
            return ("cmp", _TURNED.get(sign, sign), right, left)
        return ("cmp", sign, left, right)

    def _being(self, left: Tree) -> Tree:
        negated = self.take("NOT")
        if left[0] != "path":
            raise ValidationException("IS is supported for attributes only")
        found: Tree
        if self.take("MISSING"):
            found = ("call", "attribute_not_exists", left)
        elif self.take("NULL"):
            name = f":{len(self._values)}"
            self._values[name] = ("S", "NULL")
            found = ("call", "attribute_type", left, ("value", name))
        else:
            raise malformed("Expected MISSING or NULL after IS")
        return ("not", found) if negated else found

    def _within(self, left: Tree) -> Tree:
        for begin, end in (("(", ")"), ("[", "]"), ("<<", ">>")):
            if self.take(begin):
                options = self._until(end, self.operand)
                break
        else:
            raise malformed("Expected a list after IN")
        if not 0 < len(options) <= IN_OPERANDS_MAX:
            raise ValidationException(
                "The IN operator is provided with "
                f"{'too many' if options else 'no'} operands; number of operands: {len(options)}"
            )
        return ("in", left, tuple(options))

    def operand(self) -> Tree:
        if self._is_value():
            return ("value", self.value())
        if self.peek().kind == "word" and self.peek(1).text == "(":
            name = self.next()
            if name.word != "SIZE":
                raise ValidationException(f"Unsupported function: {name.text}")
            self._at += 1
            inner = self.nested(self.operand)
            self.expect(")", "Expected right parenthesis")
            return ("size", inner)
        return self.path()

    # Updates.

    def assignment(self) -> Tree:
        path = self.path()
        self.expect("=", "Expected = in SET")
        return (path, self.sum())

    def sum(self) -> Tree:
        left = self.nested(self.term)
        for sign in ("+", "-"):
            if self.take(sign):
                return (sign, left, self.nested(self.term))
        return left

    def term(self) -> Tree:
        if self.take("("):
            inner = self.sum()
            self.expect(")", "Expected right parenthesis")
            return inner
        if self._is_value():
            return ("value", self.value())
        if self.peek().kind == "word" and self.peek(1).text == "(":
            name = self.next()
            if name.word not in _CHANGES:
                raise ValidationException(f"Unsupported function: {name.text}")
            self._at += 1
            arguments = self.several(self.sum)
            self.expect(")", "Expected right parenthesis")
            if len(arguments) != 2:
                raise ValidationException(f"Incorrect number of arguments for function {name.word}")
            return ("call", name.word.lower(), *arguments)
        return self.path()
