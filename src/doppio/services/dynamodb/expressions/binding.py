"""Joins a request's names and values to its expressions, and says which of them were not used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.syntax import Tree
from doppio.services.dynamodb.values import Value, checked

Path = tuple[str | int, ...]


class Binding:
    """The placeholders of one request."""

    __slots__ = ("_used_names", "_used_values", "_values", "names")

    def __init__(self, names: Mapping[str, str] | None, values: Mapping[str, Value] | None) -> None:
        self.names = names or {}
        self._values = values or {}
        self._used_names: set[str] = set()
        self._used_values: set[str] = set()
        for name, value in self._values.items():
            try:
                checked(value)
            except ValidationException as error:
                raise ValidationException(
                    "ExpressionAttributeValues contains invalid value: "
                    f"{error.message} for key {name}"
                ) from error

    def path(self, tree: Tree, kind: str) -> Path:
        """A path with its placeholders replaced."""
        parts = tree[1]
        if len(parts) == 1 and not parts[0].startswith("#"):
            return (parts[0],)
        return tuple(self._part(part, kind) for part in parts)

    def _part(self, part: str | int, kind: str) -> str | int:
        if isinstance(part, int) or not part.startswith("#"):
            return part
        found = self.names.get(part)
        if found is None:
            raise ValidationException(
                f"Invalid {kind}: An expression attribute name used in the document path is not "
                f"defined; attribute name: {part}"
            )
        self._used_names.add(part)
        return found

    def used(self, names: Iterable[str]) -> None:
        """These names stand in an expression that is known already."""
        self._used_names.update(names)

    def names_used(self) -> frozenset[str]:
        """The names that stand in expressions so far."""
        return frozenset(self._used_names)

    def value(self, name: str, kind: str) -> Value:
        """The value of a placeholder."""
        found = self._values.get(name)
        if found is None:
            raise ValidationException(
                f"Invalid {kind}: An expression attribute value used in expression is not defined; "
                f"attribute value: {name}"
            )
        self._used_values.add(name)
        return found

    def finish(self) -> None:
        """Raise ValidationException for names or values that no expression used."""
        if len(self._values) > len(self._used_values):
            raise _unused("Values", self._values.keys() - self._used_values)
        if len(self.names) > len(self._used_names):
            raise _unused("Names", self.names.keys() - self._used_names)


def _unused(what: str, names: Iterable[str]) -> ValidationException:
    return ValidationException(
        f"Value provided in ExpressionAttribute{what} unused in expressions: "
        f"keys: {{{', '.join(sorted(names))}}}"
    )


EXPRESSIONS = frozenset(
    {"ConditionExpression", "UpdateExpression", "FilterExpression", "KeyConditionExpression",
     "ProjectionExpression", "SearchConditionExpression"}
)  # fmt: skip


def bind(req: Mapping[str, Any], *kinds: str) -> Binding:
    """The binding of a request. Raises ValidationException for placeholders without expressions.

    `kinds` are the expressions of this operation in which values can stand.
    """
    names, values = req.get("ExpressionAttributeNames"), req.get("ExpressionAttributeValues")
    if names is not None:
        if EXPRESSIONS.isdisjoint(req):
            raise _without_expressions("Names", "")
        _check_marks("Names", "#", names)
    if values is not None:
        if req.keys().isdisjoint(kinds):
            missing = ""
            if kinds:
                missing = f": {' and '.join(kinds)} {'is' if len(kinds) == 1 else 'are'} null"
            raise _without_expressions("Values", missing)
        _check_marks("Values", ":", values)
    return Binding(names, values)


def _without_expressions(what: str, missing: str) -> ValidationException:
    return ValidationException(
        f"ExpressionAttribute{what} can only be specified when using expressions{missing}"
    )


def _check_marks(what: str, mark: str, given: Mapping[str, Any]) -> None:
    if not given:
        raise ValidationException(f"ExpressionAttribute{what} must not be empty")
    for name in given:
        if name[:1] != mark or len(name) < 2:
            raise ValidationException(
                f'ExpressionAttribute{what} contains invalid key: Syntax error; key: "{name}"'
            )
