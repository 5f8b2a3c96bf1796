"""The parameters from before expressions, as expressions: one engine serves both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.syntax import Made
from doppio.services.dynamodb.values import checked

_LEGACY = {
    "Expected": "ConditionExpression",
    "AttributeUpdates": "UpdateExpression",
    "QueryFilter": "FilterExpression",
    "ScanFilter": "FilterExpression",
    "KeyConditions": "KeyConditionExpression",
}
_ALL = frozenset(_LEGACY) | {"AttributesToGet", "ConditionalOperator"}
_INDEXABLE = frozenset({"EQ", "LE", "LT", "GE", "GT", "BEGINS_WITH", "BETWEEN"})
_SCALARS = frozenset({"S", "N", "B"})
_TYPES = {
    "LT": _SCALARS, "LE": _SCALARS, "GT": _SCALARS, "GE": _SCALARS, "BETWEEN": _SCALARS,
    "IN": _SCALARS, "CONTAINS": _SCALARS, "NOT_CONTAINS": _SCALARS,
    "BEGINS_WITH": frozenset({"S", "B"}),
}  # fmt: skip
_SIGNS = {"EQ": "=", "NE": "<>", "LT": "<", "LE": "<=", "GT": ">", "GE": ">="}
_COUNTS = {
    "NULL": 0, "NOT_NULL": 0, "BETWEEN": 2, "EQ": 1, "NE": 1, "LT": 1, "LE": 1, "GT": 1, "GE": 1,
    "CONTAINS": 1, "NOT_CONTAINS": 1, "BEGINS_WITH": 1,
}  # fmt: skip


class _Words:
    """Placeholders made for a request."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def name(self, text: str) -> str:
        """A placeholder for an attribute name."""
        word = f"#legacy{len(self.names)}"
        self.names[word] = text
        return word

    def value(self, content: Any) -> str:
        """A placeholder for a value."""
        checked(content)
        word = f":legacy{len(self.values)}"
        self.values[word] = content
        return word


def with_expressions(req: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request with its legacy parameters turned into expressions."""
    if _ALL.isdisjoint(req):
        return req
    given = [name for name in req if name in _ALL]
    modern = [name for name in req if name.endswith("Expression") or name.startswith("Expression")]
    if modern:
        raise ValidationException(
            "Can not use both expression and non-expression parameters in the same request: "
            f"Non-expression parameters: {{{', '.join(given)}}} "
            f"Expression parameters: {{{', '.join(modern)}}}"
        )
    _check_operator(req)
    words = _Words()
    turned = {name: value for name, value in req.items() if name not in _LEGACY}
    join = f" {req.get('ConditionalOperator', 'AND')} "
    for name, expression in _LEGACY.items():
        if name not in req:
            continue
        if name == "AttributeUpdates":
            text = _updates(req[name], words)
        elif name == "Expected":
            text = join.join(_expected(key, one, words) for key, one in req[name].items())
        else:
            if name == "KeyConditions":
                _check_indexable(req[name])
            text = (" AND " if name == "KeyConditions" else join).join(
                _compared(words.name(key), one["ComparisonOperator"],
                          one.get("AttributeValueList", []), words)
                for key, one in req[name].items()
            )  # fmt: skip
        if text:
            turned[expression] = Made(text)
    if words.names:
        turned["ExpressionAttributeNames"] = words.names
    if words.values:
        turned["ExpressionAttributeValues"] = words.values
    return turned


def _check_operator(req: Mapping[str, Any]) -> None:
    if "ConditionalOperator" not in req:
        return
    tests = [req[name] for name in ("Expected", "QueryFilter", "ScanFilter") if name in req]
    if not tests:
        raise ValidationException("ConditionalOperator cannot be used without Filter or Expected")
    if len(tests[0]) < 2:
        raise ValidationException(
            "ConditionalOperator can only be used when Filter or Expected has two or more elements"
        )


def _check_indexable(conditions: Mapping[str, Any]) -> None:
    if not 1 <= len(conditions) <= 2:
        raise ValidationException("Conditions can be of length 1 or 2 only")
    for one in conditions.values():
        if one["ComparisonOperator"] not in _INDEXABLE:
            raise ValidationException(
                "Attempted conditional constraint is not an indexable operation"
            )


def _expected(name: str, one: Mapping[str, Any], words: _Words) -> str:
    word = words.name(name)
    if "ComparisonOperator" in one:
        return _compared(word, one["ComparisonOperator"], one.get("AttributeValueList", []), words)
    if one.get("Exists") is False:
        if "Value" in one:
            raise ValidationException(
                "One or more parameter values were invalid: Value cannot be used when Exists is "
                f"false for Attribute: {name}"
            )
        return f"attribute_not_exists({word})"
    if "Value" not in one:
        raise ValidationException(
            "One or more parameter values were invalid: Value must be provided when Exists is "
            f"{'true' if one.get('Exists') else 'null'} for Attribute: {name}"
        )
    return f"{word} = {words.value(one['Value'])}"


def _compared(word: str, operator: str, values: list[Any], words: _Words) -> str:
    count = _COUNTS.get(operator)
    if (count is not None and len(values) != count) or (operator == "IN" and not values):
        raise ValidationException(
            "One or more parameter values were invalid: Invalid number of argument(s) for the "
            f"{operator} ComparisonOperator"
        )
    for value in values:
        kind = next(iter(value), "")
        if operator in _TYPES and kind not in _TYPES[operator]:
            raise ValidationException(
                f"One or more parameter values were invalid: ComparisonOperator {operator} is not "
                f"valid for {kind} AttributeValue type"
            )
    placed = [words.value(value) for value in values]
    if operator in _SIGNS:
        return f"{word} {_SIGNS[operator]} {placed[0]}"
    if operator == "BETWEEN":
        return f"{word} BETWEEN {placed[0]} AND {placed[1]}"
    if operator == "IN":
        return f"{word} IN ({', '.join(placed)})"
    if operator == "NULL":
        return f"attribute_not_exists({word})"
    if operator == "NOT_NULL":
        return f"attribute_exists({word})"
    if operator == "BEGINS_WITH":
        return f"begins_with({word}, {placed[0]})"
    text = f"contains({word}, {placed[0]})"
    # What is not there does not contain anything, and does not lack it either.
    return text if operator == "CONTAINS" else f"(attribute_exists({word}) AND NOT {text})"


def _updates(updates: Mapping[str, Any], words: _Words) -> str:
    clauses: dict[str, list[str]] = {}
    for name, one in updates.items():
        action = one.get("Action", "PUT")
        word = words.name(name)
        if action == "DELETE" and "Value" not in one:
            clauses.setdefault("REMOVE", []).append(word)
            continue
        if "Value" not in one:
            raise ValidationException(
                "One or more parameter values were invalid: Only DELETE action is allowed when no "
                "attribute value is specified"
            )
        placed = words.value(one["Value"])
        if action == "PUT":
            clauses.setdefault("SET", []).append(f"{word} = {placed}")
        elif action == "ADD" and "L" in one["Value"]:
            empty = words.value({"L": []})
            text = f"{word} = list_append(if_not_exists({word}, {empty}), {placed})"
            clauses.setdefault("SET", []).append(text)
        else:
            clauses.setdefault(action, []).append(f"{word} {placed}")
    return " ".join(f"{clause} {', '.join(parts)}" for clause, parts in clauses.items())
