"""Expressions: clients send them parsed, as trees in CBOR; DynamoDB hears them as texts again.

A tree is `[1, tree, values]`, and a projection `[1, paths]`. A node is a list whose first is the
number of its function. Names and values become placeholders, so that nothing in them is read twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from doppio.services.dax import limits
from doppio.services.dax.cbor import BadWire, Ordinal, Reader
from doppio.services.dax.items import attribute_value

_COMPARE = {0: "=", 1: "<>", 2: "<", 3: ">=", 4: ">", 5: "<="}
_AND, _OR, _NOT, _BETWEEN, _IN = 6, 7, 8, 9, 10
_FUNCTIONS = {
    11: "attribute_exists", 12: "attribute_not_exists", 13: "attribute_type", 14: "begins_with",
    15: "contains", 16: "size", 23: "if_not_exists", 24: "list_append",
}  # fmt: skip
_VARIABLE, _PATH = 17, 18
_ACTIONS = {19: "SET", 20: "ADD", 21: "DELETE", 22: "REMOVE"}
_SUM = {25: "+", 26: "-"}
# A path's names and places in lists, in order.
Path = tuple[str | int, ...]


class Placeholders:
    """The placeholders of one request, for all its expressions together."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        self._known: dict[str, str] = {}

    def name(self, name: str) -> str:
        """The placeholder of a name."""
        if name not in self._known:
            self._known[name] = f"#{len(self._known)}"
            self.names[self._known[name]] = name
        return self._known[name]

    def value(self, value: dict[str, Any]) -> str:
        """A placeholder for a value."""
        placeholder = f":{len(self.values)}"
        self.values[placeholder] = value
        return placeholder

    def path(self, path: Path) -> str:
        """A path as text."""
        text = ""
        for part in path:
            if isinstance(part, int):
                text += f"[{part}]"
            else:
                text += ("." if text else "") + self.name(part)
        return text

    def into(self, request: dict[str, Any]) -> dict[str, Any]:
        """A request with its placeholders."""
        if self.names:
            request["ExpressionAttributeNames"] = self.names
        if self.values:
            request["ExpressionAttributeValues"] = self.values
        return request


def condition(data: bytes, places: Placeholders) -> str:
    """A condition, filter or key condition as text. Raises BadWire."""
    tree, values = _opened(data, 3)
    return _Writer(values, places).condition(tree, 0)


def update(data: bytes, places: Placeholders) -> str:
    """An update expression as text. Raises BadWire."""
    tree, values = _opened(data, 3)
    writer = _Writer(values, places)
    clauses: dict[str, list[str]] = {}
    for action in _list(tree):
        kind, *parts = _list(action)
        if not isinstance(kind, int) or kind not in _ACTIONS:
            raise BadWire("no such action")
        if len(parts) != (1 if kind == 22 else 2):
            raise BadWire("no such action")
        path = writer.operand(parts[0], 0)
        text = path
        if kind != 22:
            between = " = " if kind == 19 else " "
            text = f"{path}{between}{writer.operand(parts[1], 0)}"
        clauses.setdefault(_ACTIONS[kind], []).append(text)
    return " ".join(f"{word} {', '.join(parts)}" for word, parts in clauses.items())


def projection(data: bytes) -> list[Path]:
    """The paths of a projection. Raises BadWire."""
    (paths,) = _opened(data, 2)
    return [_path(one) for one in _list(paths)]


def asked(paths: list[Path], places: Placeholders) -> str:
    """What to ask DynamoDB for, so that each of the paths can be followed in its answer.

    DynamoDB leaves gaps out of lists: so a list is asked for as a whole.
    """
    wholes = {_up_to_list(path) for path in paths}
    least = [
        path for path in wholes if not any(path[:end] in wholes for end in range(1, len(path)))
    ]
    if all(_up_to_list(path) == path for path in paths):
        # As it was given, so that DynamoDB refuses what it refuses.
        return ", ".join(places.path(path) for path in paths)
    return ", ".join(places.path(path) for path in sorted(least, key=str))


def followed(item: Any, path: Path) -> Any:
    """The value at a path of an item, None where there is none."""
    value: Any = {"M": item}
    for part in path:
        if isinstance(part, int):
            listed = value.get("L")
            if listed is None or part >= len(listed):
                return None
            value = listed[part]
        else:
            value = (value.get("M") or {}).get(part)
            if value is None:
                return None
    return value


def _up_to_list(path: Path) -> Path:
    for at, part in enumerate(path):
        if isinstance(part, int):
            return path[:at]
    return path


def _opened(data: bytes, size: int) -> Any:
    reader = Reader(data)
    found = reader.value()
    if reader.more or not isinstance(found, list) or len(found) != size or found[0] != 1:
        raise BadWire("no expression")
    return found[1:]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise BadWire("no expression")
    return value


def _path(node: Any) -> Path:
    kind, *parts = _list(node)
    if kind != _PATH or not parts or not isinstance(parts[0], str):
        raise BadWire("no path")
    path: list[str | int] = []
    for part in parts:
        if isinstance(part, Ordinal) and part.value >= 0:
            path.append(part.value)
        elif isinstance(part, str) and part:
            path.append(part)
        else:
            raise BadWire("no path")
    return tuple(path)


class _Writer:
    """Writes one tree as text."""

    def __init__(self, values: Any, places: Placeholders) -> None:
        if not isinstance(values, list):
            raise BadWire("no values")
        self._values = [attribute_value(one) for one in values]
        self._places = places
        self._used: dict[int, str] = {}

    def condition(self, node: Any, depth: int) -> str:
        """What is true or false."""
        if depth > limits.EXPRESSION_DEPTH_MAX:
            raise BadWire("too deep")
        kind, *parts = _list(node)
        if isinstance(kind, int) and kind in _COMPARE:
            left, right = self._operands(parts, 2, depth)
            return f"{left} {_COMPARE[kind]} {right}"
        if kind in (_AND, _OR):
            if len(parts) != 2:
                raise BadWire("no condition")
            word = "AND" if kind == _AND else "OR"
            return f" {word} ".join(self._within(kind, one, depth) for one in parts)
        if kind == _NOT:
            if len(parts) != 1:
                raise BadWire("no condition")
            return f"NOT {self._within(kind, parts[0], depth)}"
        if kind == _BETWEEN:
            one, low, high = self._operands(parts, 3, depth)
            return f"{one} BETWEEN {low} AND {high}"
        if kind == _IN:
            if len(parts) != 2:
                raise BadWire("no condition")
            listed = ", ".join(self.operand(one, depth + 1) for one in _list(parts[1]))
            return f"{self.operand(parts[0], depth + 1)} IN ({listed})"
        return self._function(kind, parts, depth)

    def operand(self, node: Any, depth: int) -> str:
        """A value, a path, or what is made of them."""
        if depth > limits.EXPRESSION_DEPTH_MAX:
            raise BadWire("too deep")
        kind, *parts = _list(node)
        if kind == _PATH:
            return self._places.path(_path(node))
        if kind == _VARIABLE:
            return self._variable(parts)
        if isinstance(kind, int) and kind in _SUM:
            left, right = self._operands(parts, 2, depth)
            return f"{left} {_SUM[kind]} {right}"
        return self._function(kind, parts, depth)

    def _within(self, outer: int, node: Any, depth: int) -> str:
        text = self.condition(node, depth + 1)
        inner = node[0]
        plain = inner not in (_AND, _OR, _NOT) or inner == outer != _NOT
        return text if plain else f"({text})"

    def _operands(self, parts: list[Any], count: int, depth: int) -> list[str]:
        if len(parts) != count:
            raise BadWire("no condition")
        return [self.operand(one, depth + 1) for one in parts]

    def _function(self, kind: Any, parts: list[Any], depth: int) -> str:
        if not isinstance(kind, int) or kind not in _FUNCTIONS or not parts:
            raise BadWire("no such function")
        write: Callable[[Any, int], str] = self.operand
        return f"{_FUNCTIONS[kind]}({', '.join(write(one, depth + 1) for one in parts)})"

    def _variable(self, parts: list[Any]) -> str:
        if len(parts) != 1 or not isinstance(parts[0], int):
            raise BadWire("no variable")
        (number,) = parts
        if not 0 <= number < len(self._values):
            raise BadWire("no such variable")
        if number not in self._used:
            self._used[number] = self._places.value(self._values[number])
        return self._used[number]
