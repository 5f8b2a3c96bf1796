"""The grammar of expressions: from text to a tree, read once and remembered.

Trees are nested tuples, first the kind: ("and", a, b), ("cmp", "<", x, y), ("path", parts),
("value", ":v"). Path parts are names, `#placeholders` and list indexes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, ParamSpec, TypeVar

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.reserved import RESERVED
from doppio.services.dynamodb.limits import (
    EXPRESSION_BYTES_MAX,
    EXPRESSION_OPERATORS_MAX,
    IN_OPERANDS_MAX,
)

Tree = tuple[Any, ...]
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<name>#[A-Za-z0-9_]+)"
    r"|(?P<value>:[A-Za-z0-9_]+)|(?P<number>\d+)|(?P<op><>|<=|>=|[=<>(),.\[\]+-])"
)
_COMPARE = frozenset({"=", "<>", "<", "<=", ">", ">="})
_CONDITIONS = {
    "attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2,
    "contains": 2,
}  # fmt: skip
_UPDATES = {"if_not_exists": 2, "list_append": 2}
_CLAUSES = ("SET", "REMOVE", "ADD", "DELETE")
CACHED_MAX = 4_096


class Token(NamedTuple):
    """A token and where it ends and begins in the text."""

    kind: str
    text: str
    start: int
    end: int


class Made(str):
    """An expression that was made here, from legacy parameters: it may be longer than AWS's own."""

    __slots__ = ()


P = ParamSpec("P")
T = TypeVar("T")


def _remembered(read: Callable[P, T]) -> Callable[P, T]:
    """Remember the trees of texts; not of those that only this service can have made so long."""
    remembered = lru_cache(maxsize=CACHED_MAX)(read)

    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        text = args[0]
        if isinstance(text, Made) and len(text) > EXPRESSION_BYTES_MAX:
            return read(*args, **kwargs)
        return remembered(*args, **kwargs)  # type: ignore[arg-type]

    return reading


@_remembered
def condition(text: str, kind: str) -> Tree:
    """The tree of a condition; `kind` is the parameter's name, for errors."""
    reader = _Reader(text, kind)
    tree = reader.disjunction()
    reader.end()
    return tree


@_remembered
def projection(text: str) -> tuple[Tree, ...]:
    """The paths of a projection."""
    reader = _Reader(text, "ProjectionExpression")
    paths = [reader.path()]
    while reader.take(","):
        paths.append(reader.path())
    reader.end()
    return tuple(paths)


@_remembered
def update(text: str) -> dict[str, tuple[Tree, ...]]:
    """The clauses of an update, by their keyword."""
    reader = _Reader(text, "UpdateExpression")
    clauses: dict[str, tuple[Tree, ...]] = {}
    while not reader.at_end():
        word = reader.next()
        clause = word.text.upper()
        if word.kind != "word" or clause not in _CLAUSES:
            raise reader.error(word)
        if clause in clauses:
            raise ValidationException(
                f'Invalid UpdateExpression: The "{clause}" section can only be used once in an '
                "update expression;"
            )
        actions = [reader.action(clause)]
        while reader.take(","):
            actions.append(reader.action(clause))
        clauses[clause] = tuple(actions)
    return clauses


class _Reader:
    """A recursive-descent reader."""

    def __init__(self, text: str, kind: str) -> None:
        self._text = text
        self._kind = kind
        if not text.strip():
            raise ValidationException(f"Invalid {kind}: The expression can not be empty;")
        size = len(text.encode())
        if size > EXPRESSION_BYTES_MAX and not isinstance(text, Made):
            raise ValidationException(
                f"Invalid {kind}: Expression size has exceeded the maximum allowed size; "
                f"expression size: {size}"
            )
        self._tokens = self._read()
        self._at = 0
        self._depth = 0
        self._operators = 0
        # Between which tokens the last group in parentheses stood.
        self._group = (-1, -1)

    def _read(self) -> list[Token]:
        tokens: list[Token] = []
        at = 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            if found is None:
                # What no token begins with is one that fits nowhere.
                tokens.append(Token("bad", self._text[at], at, at + 1))
                at += 1
                continue
            if found.lastgroup != "space":
                tokens.append(Token(found.lastgroup or "", found[0], at, found.end()))
            at = found.end()
        return tokens

    # Tokens.

    def at_end(self) -> bool:
        return self._at >= len(self._tokens)

    def peek(self) -> Token:
        if self._at < len(self._tokens):
            return self._tokens[self._at]
        return Token("end", "<EOF>", len(self._text), len(self._text))

    def next(self) -> Token:
        token = self.peek()
        self._at += 1
        return token

    def take(self, text: str) -> bool:
        token = self.peek()
        if token.text == text or (token.kind == "word" and token.text.upper() == text):
            self._at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise self.error(self.peek())

    def end(self) -> None:
        if not self.at_end():
            raise self.error(self.peek())

    def error(self, token: Token) -> ValidationException:
        """AWS's text: the token, and it with its neighbours."""
        around = self._tokens
        before = [one for one in around if one.end <= token.start][-1:]
        after = [one for one in around if one.start >= token.end][:1]
        first = before[0].start if before else token.start
        last = after[0].end if after else token.end
        return ValidationException(
            f'Invalid {self._kind}: Syntax error; token: "{token.text}", '
            f'near: "{self._text[first:last]}"'
        )

    # Conditions.

    def disjunction(self) -> Tree:
        self._deeper()
        left = self.conjunction()
        while self.take("OR"):
            self._counted()
            left = ("or", left, self.conjunction())
        self._depth -= 1
        return left

    def conjunction(self) -> Tree:
        left = self.negation()
        while self.take("AND"):
            self._counted()
            left = ("and", left, self.negation())
        return left

    def negation(self) -> Tree:
        if self.take("NOT"):
            self._counted()
            self._deeper()
            inner = self.negation()
            self._depth -= 1
            return ("not", inner)
        return self.primary()

    def primary(self) -> Tree:
        token = self.peek()
        if token.text == "(":
            return self.group()
        self._counted()
        if token.kind == "word" and token.text in _CONDITIONS and self._is_call():
            tree = self.call(_CONDITIONS)
            if self._compares():
                raise self._misused(token.text)
            return tree
        left = self.operand()
        if left[0] == "size" and not self._compares():
            raise self._misused("size")
        return self.comparison(left)

    def group(self) -> Tree:
        first = self._at + 1
        self.next()
        inner = self.disjunction()
        if self._group == (first, self._at) and self.peek().text == ")":
            raise ValidationException(
                f"Invalid {self._kind}: The expression has redundant parentheses;"
            )
        self.expect(")")
        self._group = (first - 1, self._at)
        return inner

    def comparison(self, left: Tree) -> Tree:
        token = self.next()
        word = token.text.upper() if token.kind == "word" else token.text
        if word in _COMPARE:
            return ("cmp", word, left, self.operand())
        if word == "BETWEEN":
            low = self.operand()
            self.expect("AND")
            return ("between", left, low, self.operand())
        if word == "IN":
            self.expect("(")
            options = [self.operand()]
            while self.take(","):
                options.append(self.operand())
            self.expect(")")
            if len(options) > IN_OPERANDS_MAX:
                raise ValidationException(
                    f"Invalid {self._kind}: The IN operator is provided with too many operands; "
                    f"number of operands: {len(options)}"
                )
            return ("in", left, tuple(options))
        raise self.error(token)

    def operand(self) -> Tree:
        token = self.peek()
        if token.kind == "value":
            self.next()
            return ("value", token.text)
        if token.kind == "word" and self._is_call():
            if token.text in _CONDITIONS:
                raise self._misused(token.text)
            if token.text != "size":
                raise ValidationException(
                    f"Invalid {self._kind}: Invalid function name; function: {token.text}"
                )
            self.next()
            self.expect("(")
            self._deeper()
            inner = self.operand()
            self._depth -= 1
            self.expect(")")
            return ("size", inner)
        return self.path()

    def call(self, known: dict[str, int]) -> Tree:
        name = self.next().text
        self.expect("(")
        arguments = [self.operand()]
        while self.take(","):
            arguments.append(self.operand())
        self.expect(")")
        if len(arguments) != known[name]:
            raise ValidationException(
                f"Invalid {self._kind}: Incorrect number of operands for operator or function; "
                f"operator or function: {name}, number of operands: {len(arguments)}"
            )
        return ("call", name, *arguments)

    def path(self) -> Tree:
        parts: list[str | int] = [self._name()]
        while True:
            if self.take("."):
                parts.append(self._name())
            elif self.take("["):
                token = self.next()
                if token.kind != "number":
                    raise self.error(token)
                parts.append(int(token.text))
                self.expect("]")
            else:
                return ("path", tuple(parts))

    def _name(self) -> str:
        token = self.next()
        if token.kind == "name":
            return token.text
        if token.kind != "word":
            raise self.error(token)
        if token.text.upper() in RESERVED:
            raise ValidationException(
                f"Invalid {self._kind}: Attribute name is a reserved keyword; "
                f"reserved keyword: {token.text}"
            )
        return token.text

    def _is_call(self) -> bool:
        following = self._at + 1
        return following < len(self._tokens) and self._tokens[following].text == "("

    def _compares(self) -> bool:
        token = self.peek()
        return token.text in _COMPARE or (
            token.kind == "word" and token.text.upper() in ("BETWEEN", "IN")
        )

    def _misused(self, name: str) -> ValidationException:
        return ValidationException(
            f"Invalid {self._kind}: The function is not allowed to be used this way in an "
            f"expression; function: {name}"
        )

    def _counted(self) -> None:
        self._operators += 1
        if self._operators > EXPRESSION_OPERATORS_MAX:
            raise ValidationException(
                f"Invalid {self._kind}: The expression has more than {EXPRESSION_OPERATORS_MAX} "
                "operators;"
            )

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > 100:
            raise ValidationException(f"Invalid {self._kind}: The expression is nested too deeply;")

    # Updates.

    def action(self, clause: str) -> Tree:
        path = self.path()
        if clause == "SET":
            self.expect("=")
            return (path, self._sum())
        if clause == "REMOVE":
            return (path,)
        token = self.peek()
        if token.kind != "value":
            raise self.error(token)
        self.next()
        return (path, ("value", token.text))

    def _sum(self) -> Tree:
        left = self._term()
        for sign in ("+", "-"):
            if self.take(sign):
                return (sign, left, self._term())
        return left

    def _term(self) -> Tree:
        self._deeper()
        term = self._deeper_term()
        self._depth -= 1
        return term

    def _deeper_term(self) -> Tree:
        token = self.peek()
        if token.text == "(":
            self.next()
            inner = self._sum()
            self.expect(")")
            return inner
        if token.kind == "word" and self._is_call():
            if token.text not in _UPDATES:
                raise ValidationException(
                    f"Invalid {self._kind}: Invalid function name; function: {token.text}"
                )
            self.next()
            self.expect("(")
            first = self._term()
            self.expect(",")
            second = self._term()
            self.expect(")")
            return ("call", token.text, first, second)
        return self.operand()
