"""Conditions and filters, as closures over an item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Binding
from doppio.services.dynamodb.expressions.paths import find
from doppio.services.dynamodb.expressions.paths import text as path_text
from doppio.services.dynamodb.expressions.syntax import Tree, condition
from doppio.services.dynamodb.values import Item, Value, compare, equal

Test = Callable[[Item], bool]
Operand = Callable[[Item], "Value | None"]
_ORDER: dict[str, Callable[[int], bool]] = {
    "<": lambda c: c < 0,
    "<=": lambda c: c <= 0,
    ">": lambda c: c > 0,
    ">=": lambda c: c >= 0,
}
_TYPE_NAMES = frozenset({"S", "SS", "N", "NS", "B", "BS", "BOOL", "NULL", "L", "M"})


def compile_condition(text: str, binding: Binding, kind: str) -> Test:
    """A test of items from an expression. Raises ValidationException."""
    return test(condition(text, kind), binding, kind)


def test(tree: Tree, binding: Binding, kind: str) -> Test:
    """A test of items from a tree."""
    head = tree[0]
    if head in ("and", "or"):
        a, b = test(tree[1], binding, kind), test(tree[2], binding, kind)
        if head == "and":
            return lambda item: a(item) and b(item)
        return lambda item: a(item) or b(item)
    if head == "not":
        inner = test(tree[1], binding, kind)
        return lambda item: not inner(item)
    if head == "cmp":
        return _comparison(tree, binding, kind)
    if head == "between":
        return _between(tree, binding, kind)
    if head == "in":
        left = operand(tree[1], binding, kind)
        options = [operand(one, binding, kind) for one in tree[2]]
        return lambda item: _in(left(item), [one(item) for one in options])
    return _call(tree, binding, kind)


def operand(tree: Tree, binding: Binding, kind: str) -> Operand:
    """A value of an item, or of the request."""
    head = tree[0]
    if head == "value":
        value = binding.value(tree[1], kind)
        return lambda item: value
    if head == "size":
        return _size(tree, binding, kind)
    path = binding.path(tree, kind)
    if len(path) == 1:
        name = path[0]
        return lambda item: item.get(name)  # type: ignore[arg-type]
    return lambda item: find(item, path)


def _comparison(tree: Tree, binding: Binding, kind: str) -> Test:
    _, sign, a, b = tree
    if a[0] == b[0] == "path":
        _check_distinct(sign, a, b, binding=binding, kind=kind)
    left, right = operand(a, binding, kind), operand(b, binding, kind)
    if sign == "=":
        return lambda item: _equal(left(item), right(item))
    if sign == "<>":
        return lambda item: not _equal(left(item), right(item))
    for one in (a, b):
        if one[0] == "value":
            _check_orderable(binding.value(one[1], kind), sign, kind)
    order = _ORDER[sign]

    def ordered(item: Item) -> bool:
        x, y = left(item), right(item)
        if x is None or y is None:
            return False
        found = compare(x, y)
        return found is not None and order(found)

    return ordered


def _check_distinct(sign: str, a: Tree, b: Tree, *, binding: Binding, kind: str) -> None:
    path = binding.path(a, kind)
    if path == binding.path(b, kind):
        raise ValidationException(
            f"Invalid {kind}: The first operand must be distinct from the remaining operands for "
            f"this operator or function; operator: {sign}, first operand: {path_text(path)}"
        )


def _check_orderable(value: Value, sign: str, kind: str) -> None:
    [name] = value
    if name not in ("S", "N", "B"):
        raise ValidationException(
            f"Invalid {kind}: Incorrect operand type for operator or function; operator or "
            f"function: {sign}, operand type: {name}"
        )


def _between(tree: Tree, binding: Binding, kind: str) -> Test:
    _, a, b, c = tree
    for one in (b, c):
        if one[0] == "value":
            _check_orderable(binding.value(one[1], kind), "BETWEEN", kind)
    if b[0] == c[0] == "value":
        low_value, high_value = binding.value(b[1], kind), binding.value(c[1], kind)
        found = compare(low_value, high_value)
        if found is None:
            raise ValidationException(
                f"Invalid {kind}: The BETWEEN operator requires same data type for lower and upper "
                f"bounds; lower bound operand: AttributeValue: {_text(low_value)}, "
                f"upper bound operand: AttributeValue: {_text(high_value)}"
            )
        if found > 0:
            raise ValidationException(
                f"Invalid {kind}: The BETWEEN operator requires upper bound to be greater than or "
                f"equal to lower bound; lower bound operand: AttributeValue: {_text(low_value)}, "
                f"upper bound operand: AttributeValue: {_text(high_value)}"
            )
    value, low, high = (operand(one, binding, kind) for one in (a, b, c))

    def between(item: Item) -> bool:
        x, lo, hi = value(item), low(item), high(item)
        if x is None or lo is None or hi is None:
            return False
        under, over = compare(lo, x), compare(x, hi)
        return under is not None and over is not None and under <= 0 and over <= 0

    return between


def _text(value: Value) -> str:
    [(kind, content)] = value.items()
    return f"{{{kind}:{content}}}"


def _equal(a: Value | None, b: Value | None) -> bool:
    return a is not None and b is not None and equal(a, b)


def _in(value: Value | None, options: list[Value | None]) -> bool:
    return value is not None and any(one is not None and equal(value, one) for one in options)


def _size(tree: Tree, binding: Binding, kind: str) -> Operand:
    inner = operand(tree[1], binding, kind)
    if tree[1][0] == "value":
        _measure_checked(binding.value(tree[1][1], kind), kind)

    def measured(item: Item) -> Value | None:
        value = inner(item)
        length = None if value is None else measure(value)
        return None if length is None else {"N": str(length)}

    return measured


def _measure_checked(value: Value, kind: str) -> None:
    if measure(value) is None:
        [name] = value
        raise ValidationException(
            f"Invalid {kind}: Incorrect operand type for operator or function; operator or "
            f"function: size, operand type: {name}"
        )


def measure(value: Value) -> int | None:
    """What size() says of a value; None for numbers, booleans and nulls."""
    [(kind, content)] = value.items()
    if kind == "S":
        return len(content.encode())
    return None if kind in ("N", "BOOL", "NULL") else len(content)


def _call(tree: Tree, binding: Binding, kind: str) -> Test:
    name, arguments = tree[1], tree[2:]
    if name.startswith("attribute_") and arguments[0][0] != "path":
        raise ValidationException(
            f"Invalid {kind}: Operator or function requires a document path; "
            f"operator or function: {name}"
        )
    first = operand(arguments[0], binding, kind)
    if name == "attribute_exists":
        return lambda item: first(item) is not None
    if name == "attribute_not_exists":
        return lambda item: first(item) is None
    if arguments[0][0] == arguments[1][0] == "path":
        _check_distinct(name, *arguments, binding=binding, kind=kind)
    second = operand(arguments[1], binding, kind)
    if name == "attribute_type":
        wanted = _type_name(arguments[1], binding, kind)
        return lambda item: wanted in (first(item) or {})
    if name == "begins_with":
        if arguments[1][0] == "value":
            _check_prefix(binding.value(arguments[1][1], kind), kind)
        return lambda item: _begins(first(item), second(item))
    return lambda item: _contains(first(item), second(item))


def _type_name(tree: Tree, binding: Binding, kind: str) -> str:
    value = binding.value(tree[1], kind) if tree[0] == "value" else {}
    name: Any = value.get("S")
    if name is None:
        raise ValidationException(
            f"Invalid {kind}: Incorrect operand type for operator or function; operator or "
            f"function: attribute_type, operand type: {next(iter(value), 'path')}"
        )
    if name not in _TYPE_NAMES:
        raise ValidationException(
            f"Invalid {kind}: Invalid attribute type name found; type: {name}, valid types: "
            "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"
        )
    return str(name)


def _check_prefix(value: Value, kind: str) -> None:
    [name] = value
    if name not in ("S", "B"):
        raise ValidationException(
            f"Invalid {kind}: Incorrect operand type for operator or function; operator or "
            f"function: begins_with, operand type: {name}"
        )


def _begins(value: Value | None, prefix: Value | None) -> bool:
    if value is None or prefix is None:
        return False
    for kind in ("S", "B"):
        if kind in value and kind in prefix:
            return bool(value[kind].startswith(prefix[kind]))
    return False


def _contains(value: Value | None, part: Value | None) -> bool:
    if value is None or part is None:
        return False
    [(kind, content)] = value.items()
    [(wanted, sought)] = part.items()
    if kind in ("S", "B"):
        return wanted == kind and sought in content
    if kind in ("SS", "NS", "BS"):
        return wanted == kind[0] and any(equal({wanted: one}, part) for one in content)
    return kind == "L" and any(equal(one, part) for one in content)
