"""Walking documents by paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Binding, Path
from doppio.services.dynamodb.expressions.syntax import projection
from doppio.services.dynamodb.values import Item, Value


def find(item: Item, path: Path) -> Value | None:
    """The value at a path."""
    value = item.get(path[0])  # type: ignore[arg-type]
    for part in path[1:]:
        if value is None:
            return None
        value = step(value, part)
    return value


def step(value: Value, part: str | int) -> Value | None:
    """One step into a list or a map."""
    if isinstance(part, int):
        elements: list[Value] | None = value.get("L")
        return elements[part] if elements is not None and part < len(elements) else None
    members: dict[str, Value] | None = value.get("M")
    return members.get(part) if members is not None else None


def put(item: Item, path: Path, value: Value) -> None:
    """Put a value at a path; what leads to it must be there."""
    if len(path) == 1:
        item[path[0]] = value  # type: ignore[index]
        return
    parent = _parent(item, path)
    last = path[-1]
    if isinstance(last, int) and "L" in parent:
        elements = parent["L"]
        if last < len(elements):
            elements[last] = value
        else:
            elements.append(value)
    elif isinstance(last, str) and "M" in parent:
        parent["M"][last] = value
    else:
        raise _invalid()


def remove(item: Item, paths: Iterable[Path]) -> None:
    """Take away what is at some paths; a path that leads nowhere is no error.

    Deeper ones go first, and elements of one list from behind, so that each index means what it
    meant in the old item.
    """
    for path in sorted(paths, key=_removal_order, reverse=True):
        if len(path) == 1:
            item.pop(path[0], None)  # type: ignore[arg-type]
            continue
        parent = _parent(item, path)
        last = path[-1]
        if isinstance(last, int) and "L" in parent:
            if last < len(parent["L"]):
                del parent["L"][last]
        elif isinstance(last, str) and "M" in parent:
            parent["M"].pop(last, None)
        else:
            raise _invalid()


def _removal_order(path: Path) -> tuple[int, int]:
    last = path[-1]
    return len(path), last if isinstance(last, int) else -1


def _parent(item: Item, path: Path) -> Value:
    parent = find(item, path[:-1])
    if parent is None:
        raise _invalid()
    return parent


def _invalid() -> ValidationException:
    return ValidationException(
        "The document path provided in the update expression is invalid for update"
    )


def project(item: Item, paths: Iterable[Path]) -> Item:
    """The parts of an item at some paths; list elements close up in their order."""
    tree: dict[str | int, Any] = {}
    for path in paths:
        node = tree
        for part in path[:-1]:
            following = node.setdefault(part, {})
            if following is True:
                break
            node = following
        else:
            node[path[-1]] = True
    shown: Item = {}
    for name, below in tree.items():
        value = item.get(name)  # type: ignore[arg-type]
        if value is not None:
            picked = _pick(value, below)
            if picked is not None:
                shown[name] = picked  # type: ignore[index]
    return shown


def _pick(value: Value, below: Any) -> Value | None:
    if below is True:
        return value
    if "M" in value:
        members = {}
        for name, further in below.items():
            inner = value["M"].get(name) if isinstance(name, str) else None
            picked = _pick(inner, further) if inner is not None else None
            if picked is not None:
                members[name] = picked
        return {"M": members} if members else None
    if "L" in value:
        elements = []
        for index in sorted(one for one in below if isinstance(one, int)):
            if index < len(value["L"]):
                picked = _pick(value["L"][index], below[index])
                if picked is not None:
                    elements.append(picked)
        return {"L": elements} if elements else None
    return None


def projected_paths(req: Mapping[str, Any], binding: Binding) -> list[Path] | None:
    """The paths that a read asks for, in either form; None for whole items."""
    kind = "ProjectionExpression"
    if kind in req:
        paths = [binding.path(tree, kind) for tree in projection(req[kind])]
        check_overlap(paths, kind)
        return paths
    if "AttributesToGet" not in req:
        return None
    names: list[str] = req["AttributesToGet"]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ValidationException(
                f"One or more parameter values were invalid: Duplicate value in attribute name: {name}"
            )
    return [(name,) for name in names]


def text(path: Path) -> str:
    """A path as AWS shows it in errors."""
    return "[" + ", ".join(f"[{part}]" if isinstance(part, int) else part for part in path) + "]"


def check_overlap(paths: Sequence[Path], kind: str) -> None:
    """Raise ValidationException where one path leads into another, or both through one node."""
    if len({path[0] for path in paths}) == len(paths):
        return
    seen: list[Path] = []
    for path in paths:
        for other in seen:
            shorter = min(len(path), len(other))
            if path[:shorter] == other[:shorter]:
                raise ValidationException(
                    f"Invalid {kind}: Two document paths overlap with each other; must remove or "
                    f"rewrite one of these paths; path one: {text(other)}, path two: {text(path)}"
                )
            if _conflict(path, other):
                raise ValidationException(
                    f"Invalid {kind}: Two document paths conflict with each other; must remove or "
                    f"rewrite one of these paths; path one: {text(other)}, path two: {text(path)}"
                )
        seen.append(path)


def _conflict(a: Path, b: Path) -> bool:
    for x, y in zip(a, b, strict=False):
        if isinstance(x, int) != isinstance(y, int):
            return True
        if x != y:
            return False
    return False
