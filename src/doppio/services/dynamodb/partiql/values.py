"""The values of a statement: literals as they stand in it, and the parameters of a request.

A literal is read once with its statement, as a template: a pair of a kind and a content, in which
parameters are numbers. `Bound` joins the parameters of a request to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Binding, Path
from doppio.services.dynamodb.expressions.syntax import Tree
from doppio.services.dynamodb.values import Value, checked

Template = tuple[str, Any]


class Bound(Binding):
    """The values of one statement of a request; paths stand in the statement as they are."""

    __slots__ = ("_by_name",)

    def __init__(self, templates: Mapping[str, Template], parameters: Sequence[Value]) -> None:
        self._by_name = {name: made(one, parameters) for name, one in templates.items()}
        for value in self._by_name.values():
            checked(value)

    def path(self, tree: Tree, kind: str) -> Path:
        """A path of the statement."""
        path: Path = tree[1]
        return path

    def value(self, name: str, kind: str) -> Value:
        """A value of the statement."""
        return self._by_name[name]


def made(template: Template, parameters: Sequence[Value]) -> Value:
    """The attribute value of a template."""
    kind, content = template
    if kind == "?":
        return deepcopy(parameters[content])
    if kind == "M":
        return {"M": {name: made(one, parameters) for name, one in content.items()}}
    if kind == "L":
        return {"L": [made(one, parameters) for one in content]}
    if kind == "set":
        return _set([made(one, parameters) for one in content])
    return {kind: content}


def _set(elements: list[Value]) -> Value:
    """A set's type is that of its elements."""
    kinds = {kind for one in elements for kind in one}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise ValidationException(
            "Sets must be homogeneous and can only contain elements of type STRING, NUMBER or BINARY"
            if elements
            else "One or more parameter values were invalid: An string set  may not be empty"
        )
    [kind] = kinds
    return {f"{kind}S": [one[kind] for one in elements]}
