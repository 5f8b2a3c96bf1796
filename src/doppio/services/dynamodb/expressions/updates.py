"""Update expressions: what they make of an item.

All operands are read from the item as it was; then SET, REMOVE, ADD and DELETE act.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy

from doppio.services.dynamodb import numbers
from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Binding, Path
from doppio.services.dynamodb.expressions.paths import check_overlap, find, put, remove
from doppio.services.dynamodb.expressions.syntax import Tree, update
from doppio.services.dynamodb.values import Item, Value, equal

KIND = "UpdateExpression"
Change = Callable[[Item], Value]
_EMPTIED: Value = {}
_SETS = ("SS", "NS", "BS")


class Update:
    """A bound update: an expression, or clauses that were read; none only makes the item.

    `paths` are what it touches.

    One that `only_removes` makes no item where there is none.
    """

    __slots__ = ("_adds", "_deletes", "_removes", "_sets", "only_removes", "paths")

    def __init__(
        self, given: str | Mapping[str, tuple[Tree, ...]] | None, binding: Binding
    ) -> None:
        clauses = update(given) if isinstance(given, str) else given or {}
        self.only_removes = bool(clauses) and "SET" not in clauses and "ADD" not in clauses
        self._sets = [
            (binding.path(path, KIND), _expression(value, binding))
            for path, value in clauses.get("SET", ())
        ]
        self._removes = [binding.path(path, KIND) for (path,) in clauses.get("REMOVE", ())]
        self._adds = [
            (binding.path(path, KIND), _addend(binding.value(value[1], KIND), "ADD"))
            for path, value in clauses.get("ADD", ())
        ]
        self._deletes = [
            (binding.path(path, KIND), _addend(binding.value(value[1], KIND), "DELETE"))
            for path, value in clauses.get("DELETE", ())
        ]
        self.paths: list[Path] = [path for path, _ in self._sets]
        self.paths += self._removes
        self.paths += [path for path, _ in self._adds]
        self.paths += [path for path, _ in self._deletes]
        check_overlap(self.paths, KIND)

    def apply(self, old: Item) -> Item:
        """The item that the update makes of `old`, which stays as it is."""
        new = deepcopy(old) if max(map(len, self.paths), default=1) > 1 else dict(old)
        changes = [(path, change(old)) for path, change in self._sets]
        if len(changes) > 1:
            # Elements behind the end of a list are appended in the order of their numbers.
            changes.sort(key=lambda one: one[0][-1] if isinstance(one[0][-1], int) else -1)
        emptied: list[Path] = []
        for path, value in changes:
            if value is _EMPTIED:
                emptied.append(path)
            else:
                put(new, path, value)
        for path, value in self._adds:
            before = find(old, path)
            put(new, path, value if before is None else _added(before, value))
        for path, value in self._deletes:
            before = find(old, path)
            if before is not None:
                left = _deleted(before, value)
                if left is None:
                    emptied.append(path)
                else:
                    put(new, path, left)
        if emptied or self._removes:
            remove(new, [*emptied, *self._removes])
        return new


def _expression(tree: Tree, binding: Binding) -> Change:
    head = tree[0]
    if head in ("+", "-"):
        for one in tree[1:]:
            if one[0] == "value":
                _check_number(binding.value(one[1], KIND), head)
        a, b = _expression(tree[1], binding), _expression(tree[2], binding)
        sign = 1 if head == "+" else -1
        return lambda item: _sum(a(item), b(item), sign)
    if head == "value":
        value = binding.value(tree[1], KIND)
        return lambda item: value
    if head == "path":
        path = binding.path(tree, KIND)
        return lambda item: _there(find(item, path))
    if head == "call" and tree[1] == "if_not_exists":
        if tree[2][0] != "path":
            raise ValidationException(
                "Invalid UpdateExpression: Operator or function requires a document path; "
                "operator or function: if_not_exists"
            )
        path = binding.path(tree[2], KIND)
        otherwise = _expression(tree[3], binding)

        def chosen(item: Item) -> Value:
            found = find(item, path)
            return otherwise(item) if found is None else found

        return chosen
    if head == "call" and tree[1] in ("set_add", "set_delete"):
        return _of_sets(tree, binding)
    if head == "call":
        for one in tree[2:]:
            if one[0] == "value":
                _check_list(binding.value(one[1], KIND))
        a, b = _expression(tree[2], binding), _expression(tree[3], binding)
        return lambda item: _appended(a(item), b(item))
    raise ValidationException(
        "Invalid UpdateExpression: The function is not allowed in an update expression; "
        f"function: {head}"
    )


def _of_sets(tree: Tree, binding: Binding) -> Change:
    """PartiQL's functions of sets: ADD and DELETE as values; a set that was emptied goes."""
    _, name, *arguments = tree
    for one in arguments:
        if one[0] == "value":
            _check_set(binding.value(one[1], KIND), name)
    a, b = (_expression(one, binding) for one in arguments)

    def combined(item: Item) -> Value:
        before, value = a(item), b(item)
        if not any(kind in before and kind in value for kind in _SETS):
            raise _wrong_type()
        if name == "set_add":
            return _added(before, value)
        left = _deleted(before, value)
        return _EMPTIED if left is None else left

    return combined


def _check_set(value: Value, name: str) -> None:
    [kind] = value
    if kind not in _SETS:
        raise ValidationException(
            f"Incorrect operand type for operator or function; operator or function: {name}, "
            f"operand type: {kind}"
        )


def _there(value: Value | None) -> Value:
    if value is None:
        raise ValidationException(
            "The provided expression refers to an attribute that does not exist in the item"
        )
    return value


def _wrong_type() -> ValidationException:
    return ValidationException("An operand in the update expression has an incorrect data type")


def _check_number(value: Value, sign: str) -> None:
    if "N" not in value:
        raise ValidationException(
            "Invalid UpdateExpression: Incorrect operand type for operator or function; operator "
            f"or function: {sign}, operand type: {next(iter(value))}"
        )


def _check_list(value: Value) -> None:
    if "L" not in value:
        raise ValidationException(
            "Invalid UpdateExpression: Incorrect operand type for operator or function; operator "
            f"or function: list_append, operand type: {next(iter(value))}"
        )


_NAMES = {
    "S": "STRING", "N": "NUMBER", "B": "BINARY", "SS": "STRING_SET", "NS": "NUMBER_SET",
    "BS": "BINARY_SET", "M": "MAP", "L": "LIST", "BOOL": "BOOLEAN", "NULL": "NULL",
}  # fmt: skip


def _sum(a: Value, b: Value, sign: int) -> Value:
    if "N" not in a or "N" not in b:
        raise _wrong_type()
    return {"N": numbers.add(a["N"], b["N"], sign=sign)}


def _appended(a: Value, b: Value) -> Value:
    if "L" not in a or "L" not in b:
        raise _wrong_type()
    return {"L": [*a["L"], *b["L"]]}


def _addend(value: Value, clause: str) -> Value:
    [kind] = value
    allowed = ("N", *_SETS) if clause == "ADD" else _SETS
    if kind not in allowed:
        raise ValidationException(
            "Invalid UpdateExpression: Incorrect operand type for operator or function; "
            f"operator: {clause}, operand type: {_NAMES[kind]}, "
            f"typeSet: ALLOWED_FOR_{clause}_OPERAND"
        )
    return value


def _added(before: Value, value: Value) -> Value:
    [kind] = value
    if kind not in before:
        raise _wrong_type()
    if kind == "N":
        return {"N": numbers.add(before["N"], value["N"])}
    kept = list(before[kind])
    for one in value[kind]:
        if not any(equal({kind[0]: one}, {kind[0]: other}) for other in kept):
            kept.append(one)
    return {kind: kept}


def _deleted(before: Value, value: Value) -> Value | None:
    [kind] = value
    if kind not in before:
        raise _wrong_type()
    gone = value[kind]
    left = [
        one
        for one in before[kind]
        if not any(equal({kind[0]: one}, {kind[0]: other}) for other in gone)
    ]
    return {kind: left} if left else None
