"""S3 Select's SQL as words: keywords and names, literals, operators. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from doppio.services.s3.select_errors import SelectRefused

EXPRESSION_BYTES_MAX = 256 * 1024
_PATTERN = re.compile(
    r"""(?P<space>\s+)
    |(?P<name>[A-Za-z_][A-Za-z0-9_$]*)
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<string>'(?:[^']|'')*')
    |(?P<ion>`[^`]*`)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<operator><>|!=|<=|>=|\|\||[-+*/%=<>().,\[\]])""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """A word: `kind` is the pattern's name; `text` is without quotes."""

    kind: str
    text: str

    def says(self, *words: str) -> bool:
        """Whether it is one of these keywords (upper case) or operators."""
        if self.kind == "name":
            return self.text.upper() in words
        return self.kind == "operator" and self.text in words


END = Token("end", "")


def tokens(expression: str) -> list[Token]:
    """The words of an expression, with `END` behind them. Raises SelectRefused."""
    if len(expression.encode()) > EXPRESSION_BYTES_MAX:
        raise SelectRefused("ExpressionTooLong")
    expression = expression.strip().removesuffix(";")
    found: list[Token] = []
    at = 0
    while at < len(expression):
        match = _PATTERN.match(expression, at)
        if match is None:
            raise SelectRefused(
                "LexerInvalidLiteral" if expression[at] in "'\"`" else "LexerInvalidChar"
            )
        at = match.end()
        kind, text = match.lastgroup, match.group()
        assert kind is not None
        if kind == "space":
            continue
        if kind in {"quoted", "string", "ion"}:
            mark = text[0]
            text = text[1:-1].replace(mark * 2, mark)
        found.append(Token(kind, text))
    return [*found, END]
