"""Joins a request's names and values to its expressions, and says which of them were not used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.syntax import Tree
from doppio.services.dynamodb.values import Value, checked

Path = tuple[str | int, ...]


class Binding:
    """The placeholders of one request."""

    __slots__ = ("_names", "_used_names", "_used_values", "_values")

    def __init__(self, names: Mapping[str, str] | None, values: Mapping[str, Value] | None) -> None:
        self._names = names or {}
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
        found = self._names.get(part)
        if found is None:
            raise ValidationException(
                f"Invalid {kind}: An expression attribute name used in the document path is not "
                f"defined; attribute name: {part}"
            )
        self._used_names.add(part)
        return found

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
        for what, given, used in (
            ("Values", self._values, self._used_values),
            ("Names", self._names, self._used_names),
        ):
            if len(given) > len(used):
                unused = ", ".join(sorted(set(given) - used))
                raise ValidationException(
                    f"Value provided in ExpressionAttribute{what} unused in expressions: "
                    f"keys: {{{unused}}}"
                )


EXPRESSIONS = (
    "ConditionExpression", "UpdateExpression", "FilterExpression", "KeyConditionExpression",
    "ProjectionExpression", "SearchConditionExpression",
)  # fmt: skip


def bind(req: Mapping[str, Any], *kinds: str) -> Binding:
    """The binding of a request. Raises ValidationException for placeholders without expressions.

    `kinds` are the expressions of this operation in which values can stand.
    """
    names, values = req.get("ExpressionAttributeNames"), req.get("ExpressionAttributeValues")
    if names is None and values is None:
        return Binding(None, None)
    present = [name for name in EXPRESSIONS if name in req]
    for what, given in (("Names", names), ("Values", values)):
        if given is None:
            continue
        if not present or (what == "Values" and not any(kind in req for kind in kinds)):
            missing = ""
            if what == "Values" and kinds:
                missing = f": {' and '.join(kinds)} {'is' if len(kinds) == 1 else 'are'} null"
            raise ValidationException(
                f"ExpressionAttribute{what} can only be specified when using expressions{missing}"
            )
        if not given:
            raise ValidationException(f"ExpressionAttribute{what} must not be empty")
        mark = "#" if what == "Names" else ":"
        for name in given:
            if not name.startswith(mark) or len(name) < 2:
                raise ValidationException(
                    f'ExpressionAttribute{what} contains invalid key: Syntax error; key: "{name}"'
                )
    return Binding(names, values)
