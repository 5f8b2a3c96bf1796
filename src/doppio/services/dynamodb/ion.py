"""Items as Ion text, a line each, as DynamoDB exports them: written, and read back.

Source: "Amazon Ion" among DynamoDB's data formats. Sets bear the annotations `$dynamodb_SS`,
`$dynamodb_NS` and `$dynamodb_BS`; numbers are decimals. What Ion has beside (timestamps, symbols,
clobs, s-expressions) is no attribute value, and refused.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode, b64encode

from doppio.services.dynamodb.values import Item, Value

_DEPTH_MAX = 64
_SETS = {"$dynamodb_SS": "S", "$dynamodb_NS": "N", "$dynamodb_BS": "B"}
_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\")|(?P<blob>\{\{[A-Za-z0-9+/=\s]*\}\})"
    r"|(?P<symbol>'(?:[^'\\]|\\.)*')"
    r"|(?P<number>-?(?:0|[1-9][0-9_]*)(?:\.[0-9_]*)?(?:[dDeE][+-]?[0-9]+)?)(?![A-Za-z0-9_:T-])"
    r"|(?P<word>[A-Za-z_$][A-Za-z0-9_$]*)|(?P<sign>::|[{}\[\],:]))"
)


class BadIon(Exception):
    """A text that is no Ion, or no attribute value; it says why."""


def line_of(name: str, item: Item) -> bytes:
    """A line of an export: the version of Ion, and a struct of one member."""
    return f"$ion_1_0 {{{name}:{_struct(item)}}}\n".encode()


def struct_of(members: dict[str, str]) -> bytes:
    """A line whose members are Ion texts already."""
    inner = ",".join(f"{name}:{text}" for name, text in members.items())
    return f"$ion_1_0 {{{inner}}}\n".encode()


def text_of(item: Item) -> str:
    """An item as a struct."""
    return _struct(item)


def _struct(members: dict[str, Value]) -> str:
    inner = ",".join(f"{_name(name)}:{_value(value)}" for name, value in members.items())
    return f"{{{inner}}}"


def _name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", name) and name not in _WORDS:
        return name
    return "'" + _escaped(name).replace("'", "\\'") + "'"


_WORDS = frozenset({"null", "true", "false", "nan"})


def _escaped(text: str) -> str:
    """The inside of a string: JSON's escapes are Ion's, but for those of surrogates."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _value(value: Value) -> str:
    [(kind, content)] = value.items()
    if kind == "S":
        return f'"{_escaped(content)}"'
    if kind == "N":
        return _number(content)
    if kind == "B":
        return f"{{{{{b64encode(content).decode()}}}}}"
    if kind == "BOOL":
        return "true" if content else "false"
    if kind == "NULL":
        return "null"
    if kind == "M":
        return _struct(content)
    if kind == "L":
        return f"[{','.join(_value(one) for one in content)}]"
    inner = ",".join(_value({kind[0]: one}) for one in content)
    return f"$dynamodb_{kind}::[{inner}]"


def _number(text: str) -> str:
    """A decimal: with a point, or an exponent after `d`."""
    if "E" in text.upper():
        return text.upper().replace("E+", "d").replace("E", "d")
    return text if "." in text else f"{text}."


def values_of(line: str) -> list[dict[str, Value]]:
    """The structs of a line. Raises BadIon."""
    reader = _Reader(line)
    found = []
    while not reader.at_end():
        if reader.take_word("$ion_1_0"):
            continue
        value = reader.value(0)
        if "M" not in value:
            raise BadIon("an item must be a struct")
        found.append(value["M"])
    return found


class _Reader:
    """A recursive-descent reader of values."""

    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._at = 0

    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def next(self) -> tuple[str, str]:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise BadIon(f"unexpected text at character {self._at}")
        self._at = match.end()
        return str(match.lastgroup), match.group(str(match.lastgroup))

    def take_word(self, word: str) -> bool:
        return self._take("word", word)

    def take(self, sign: str) -> bool:
        return self._take("sign", sign)

    def _take(self, kind: str, text: str) -> bool:
        at = self._at
        if not self.at_end() and self.next() == (kind, text):
            return True
        self._at = at
        return False

    def value(self, depth: int) -> Value:
        if depth > _DEPTH_MAX:
            raise BadIon("values are nested too deeply")
        kind, text = self.next()
        if kind == "string":
            return {"S": _unescaped(text)}
        if kind == "number":
            return {"N": text.replace("_", "").lower().replace("d", "e").rstrip(".")}
        if kind == "blob":
            try:
                return {"B": b64decode("".join(text[2:-2].split()), validate=True)}
            except binascii.Error as error:
                raise BadIon("a blob is not in Base64") from error
        if kind == "word":
            return self._word(text, depth)
        if text == "{":
            return {"M": self._members(depth)}
        if text == "[":
            return {"L": self._elements(depth)}
        raise BadIon(f"unexpected {text}")

    def _word(self, text: str, depth: int) -> Value:
        if text in ("true", "false"):
            return {"BOOL": text == "true"}
        if text == "null":
            return {"NULL": True}
        if text not in _SETS or not self.take("::") or not self.take("["):
            raise BadIon(f"{text} is no attribute value")
        kind = _SETS[text]
        elements = self._elements(depth)
        if any(kind not in one for one in elements):
            raise BadIon(f"a set of {text} has an element of another type")
        return {f"{kind}S": [one[kind] for one in elements]}

    def _members(self, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while not self.take("}"):
            kind, text = self.next()
            if kind in ("string", "symbol"):
                text = _unescaped(text)
            elif kind != "word":
                raise BadIon(f"unexpected {text}")
            if not self.take(":"):
                raise BadIon("a colon is missing")
            found[text] = self.value(depth + 1)
            self._between("}")
        return found

    def _elements(self, depth: int) -> list[Value]:
        found = []
        while not self.take("]"):
            found.append(self.value(depth + 1))
            self._between("]")
        return found

    def _between(self, end: str) -> None:
        at = self._at
        if self.take(","):
            return
        if not self.take(end):
            raise BadIon("a comma is missing")
        self._at = at


_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "0": "\0"}


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        escape = match[1]
        if escape[0] in "xuU" and len(escape) > 1:
            code = int(escape[1:], 16)
            if code > 0x10FFFF:
                raise BadIon("no such character")
            return chr(code)
        return _PLAIN.get(escape, escape)

    return _ESCAPE.sub(one, text[1:-1])
