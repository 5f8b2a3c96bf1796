"""How management policies are inherited: from the documents on the way down to what counts. Pure.

A document is a tree whose leaves are values with operators. `@@assign` sets a value over what came
from above, `@@append` and `@@remove` change a list. `@@operators_allowed_for_child_policies` says,
for an element and all below it, what policies further down may still use; what they use in spite of
it does not count, and no policy gives back what one above it has taken.

Policies on the same target come in the order in which they were put there. Of single values that
they assign, the first counts; lists that they assign are one list together.

Source: "Inheritance operators" and the inheritance examples in the user guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

ASSIGN, APPEND, REMOVE = "@@assign", "@@append", "@@remove"
OPERATORS = frozenset({ASSIGN, APPEND, REMOVE})
CONTROL = "@@operators_allowed_for_child_policies"
_EVERY, _NONE = "@@all", "@@none"
DEPTH_MAX = 32
Path = tuple[str, ...]


class Source(NamedTuple):
    """A policy on the way down: its id and document."""

    policy: str
    document: Mapping[str, Any]


class Effective(NamedTuple):
    """What counts: the document without operators, and which policies made each value."""

    document: dict[str, Any]
    sources: dict[Path, tuple[str, ...]]

    def behind(self, path: Path) -> list[str]:
        """The policies behind an element and all in it."""
        return sorted(
            {
                policy
                for at, policies in self.sources.items()
                if at[: len(path)] == path
                for policy in policies
            }
        )


def problem_of(node: Any, depth: int = 0) -> str | None:
    """Why a tree is none that can be inherited; None where it can."""
    if not isinstance(node, dict) or depth > DEPTH_MAX:
        return "not an object"
    operators = {key for key in node if key.startswith("@@")}
    if operators - OPERATORS - {CONTROL}:
        return "an operator that is not known"
    if CONTROL in node and not _check_control(node[CONTROL]):
        return "operators for children that are not known"
    children = {key: value for key, value in node.items() if key not in operators}
    if operators & OPERATORS:
        values_fit = all(_is_value(key, node[key]) for key in operators & OPERATORS)
        return "values and elements in one place" if children or not values_fit else None
    if depth > 1 and not children and CONTROL not in node:
        return "an element without a value"
    for value in children.values():
        found = problem_of(value, depth + 1)
        if found is not None:
            return found
    return None


def _check_control(given: Any) -> bool:
    named = _list(given)
    return bool(named) and all(name in {*OPERATORS, _EVERY, _NONE} for name in named)


def _is_value(operator: str, value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str | int | float) for one in value)
    if isinstance(value, dict) or value is None:
        return False
    return operator == ASSIGN or isinstance(value, str)


def inherit(levels: Iterable[Sequence[Source]]) -> Effective:
    """What counts at the end of the way from the root down."""
    values: dict[Path, Any] = {}
    sources: dict[Path, tuple[str, ...]] = {}
    allowed: dict[Path, frozenset[str]] = {}
    for level in levels:
        said: dict[Path, list[tuple[str, str, Any]]] = {}
        controls: dict[Path, frozenset[str]] = {}
        for source in level:
            _walk(source, source.document, (), allowed, said, controls)
        for path, steps in said.items():
            _settle(values, sources, path, steps)
        for path, names in controls.items():
            allowed[path] = allowed.get(path, OPERATORS) & names
    return Effective(_tree(values), sources)


def _walk(
    source: Source,
    node: Mapping[str, Any],
    path: Path,
    allowed: Mapping[Path, frozenset[str]],
    said: dict[Path, list[tuple[str, str, Any]]],
    controls: dict[Path, frozenset[str]],
) -> None:
    """Note what a document says, as far as policies above let it."""
    free = allowed.get(path, OPERATORS)
    for length in range(len(path)):
        free &= allowed.get(path[:length], OPERATORS)
    for key, value in node.items():
        if key == CONTROL:
            names = _list(value)
            named = frozenset() if _NONE in names else OPERATORS & set(names)
            named = OPERATORS if _EVERY in names else named
            controls[path] = controls.get(path, OPERATORS) & named
        elif key in OPERATORS:
            if key in free:
                said.setdefault(path, []).append((key, source.policy, value))
        else:
            _walk(source, value, (*path, key), allowed, said, controls)


def _settle(
    values: dict[Path, Any],
    sources: dict[Path, tuple[str, ...]],
    path: Path,
    steps: Sequence[tuple[str, str, Any]],
) -> None:
    """Apply what the policies of one level say of one element."""
    assigned = [(policy, value) for operator, policy, value in steps if operator == ASSIGN]
    if assigned:
        value = assigned[0][1]
        behind = assigned[:1]
        if isinstance(value, list):
            behind = [one for one in assigned if isinstance(one[1], list)]
            value = _united([], *(one[1] for one in behind))
        values[path], sources[path] = value, tuple(one[0] for one in behind)
    for operator, policy, value in steps:
        if operator == ASSIGN:
            continue
        now = _list(values.get(path, []))
        if operator == APPEND:
            values[path] = _united(now, _list(value))
        else:
            values[path] = [one for one in now if one not in _list(value)]
        sources[path] = (*sources.get(path, ()), policy)


def _united(*lists: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for one in lists:
        found += [value for value in one if value not in found]
    return found


def _tree(values: Mapping[Path, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        at = tree
        for name in path[:-1]:
            at = at.setdefault(name, {})
        at[path[-1]] = value
    return tree


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
