"""Key conditions: the hash key a query is for, and the range of the range key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Binding
from doppio.services.dynamodb.expressions.syntax import Tree, condition
from doppio.services.dynamodb.item_keys import checked_part
from doppio.services.dynamodb.records import KeyPart
from doppio.services.dynamodb.values import Item, Value, compare

KIND = "KeyConditionExpression"
# Behind every encoded key that begins with some bytes, and before all others.
AFTER = b"\xff"
_MISMATCH = (
    "One or more parameter values were invalid: Condition parameter type does not match schema type"
)
REMEMBERED_MAX = 1_024


class KeyRange(NamedTuple):
    """The rows a query looks at, relative to its index: lo <= key < hi; and its hash key."""

    lo: bytes
    hi: bytes
    hash: Item | None = None


def key_range(text: str, binding: Binding, parts: tuple[KeyPart, ...]) -> KeyRange:
    """The range of a key condition. Raises ValidationException."""
    terms, used = _terms_of(text, parts, tuple(binding.names.items()))
    if used:
        binding.used(used)
    return _range(terms, binding)


# Texts that were made here may be longer than others: the same text of another type is another one.
@lru_cache(REMEMBERED_MAX, typed=True)
def _terms_of(
    text: str, parts: tuple[KeyPart, ...], names: tuple[tuple[str, str], ...]
) -> tuple[list[tuple[KeyPart, Tree | None]], frozenset[str]]:
    """The condition on each part of a key, and the names that it takes: of the same text the same.

    Raises ValidationException for what is no condition on a key.
    """
    binding = Binding(dict(names), None)
    by_name: dict[str, Tree] = {}
    for term in _terms(condition(text, KIND)):
        name = _name(term, binding)
        if name in by_name:
            raise ValidationException(
                f"Invalid {KIND}: KeyConditionExpressions must only contain one condition per key"
            )
        by_name[name] = term
    missed = next((part for part in parts if part.hash and part.name not in by_name), None)
    if missed is not None:
        raise ValidationException(f"Query condition missed key schema element: {missed.name}")
    known = {part.name for part in parts}
    foreign = next((name for name in by_name if name not in known), None)
    if foreign is not None:
        ranges = [part.name for part in parts if not part.hash]
        if len(by_name) <= len(parts) and ranges:
            raise ValidationException(f"Query condition missed key schema element: {ranges[0]}")
        raise ValidationException("Query key condition not supported")
    return [(part, by_name.get(part.name)) for part in parts], binding.names_used()


def _range(terms: list[tuple[KeyPart, Tree | None]], binding: Binding) -> KeyRange:
    prefix, hashed = b"", {}
    for part, term in terms:
        if term is None:
            break
        if term[0] == "cmp" and term[1] == "=":
            value, raw = key_value(term[3], part, binding)
            prefix += raw
            if part.hash:
                hashed[part.name] = value
            continue
        if part.hash:
            raise ValidationException("Query key condition not supported")
        return bounds(prefix, part, term, binding)._replace(hash=hashed)
    return KeyRange(prefix, prefix + AFTER, hashed)


def bounds(prefix: bytes, part: KeyPart, term: Tree, binding: Binding) -> KeyRange:
    """The rows below a prefix that a condition on the next part of the key leaves."""
    if term[0] == "between":
        (low, begin), (high, end) = (key_value(one, part, binding) for one in term[2:4])
        if compare(low, high) == 1:
            raise ValidationException(
                f"Invalid {KIND}: The BETWEEN operator requires upper bound to be greater than or "
                f"equal to lower bound; lower bound operand: AttributeValue: {_shown(low)}, "
                f"upper bound operand: AttributeValue: {_shown(high)}"
            )
        return KeyRange(prefix + begin, prefix + end + AFTER)
    if term[0] == "call":
        value, raw = key_value(term[3], part, binding)
        if "N" in value:
            raise ValidationException(
                f"Invalid {KIND}: Incorrect operand type for operator or function; operator or "
                "function: begins_with, operand type: N"
            )
        # Without its terminator an encoded text is the beginning of all that begin with it.
        start = prefix + raw[:-1]
        return KeyRange(start, after_prefix(start))
    at = prefix + key_value(term[3], part, binding)[1]
    sign = term[1]
    if sign == "<":
        return KeyRange(prefix, at)
    if sign == "<=":
        return KeyRange(prefix, at + AFTER)
    if sign == ">":
        return KeyRange(at + AFTER, prefix + AFTER)
    if sign == ">=":
        return KeyRange(at, prefix + AFTER)
    raise ValidationException("Query key condition not supported")


def after_prefix(prefix: bytes) -> bytes:
    """The first key that does not begin with `prefix`."""
    stem = prefix.rstrip(AFTER)
    return stem[:-1] + bytes((stem[-1] + 1,))


def _terms(tree: Tree) -> Sequence[Tree]:
    if tree[0] == "and":
        return [*_terms(tree[1]), *_terms(tree[2])]
    if tree[0] in ("or", "not"):
        raise ValidationException(f"Invalid operator used in {KIND}: {tree[0].upper()}")
    return [_turned(tree)]


def _turned(tree: Tree) -> Tree:
    """`:v = name` as `name = :v`."""
    if tree[0] == "cmp" and tree[2][0] == "value" and tree[3][0] == "path":
        sign = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(tree[1], tree[1])
        return ("cmp", sign, tree[3], tree[2])
    if tree[0] == "cmp" and tree[1] == "<>":
        raise ValidationException(f"Invalid operator used in {KIND}: <>")
    if tree[0] == "in":
        raise ValidationException(f"Invalid operator used in {KIND}: IN")
    if tree[0] == "call" and tree[1] != "begins_with":
        raise ValidationException(f"Invalid operator used in {KIND}: {tree[1]}")
    return tree


def _name(term: Tree, binding: Binding) -> str:
    operand = term[2] if term[0] in ("cmp", "call") else term[1]
    if operand[0] != "path":
        raise ValidationException(
            f"Invalid condition in {KIND}: Multiple attribute names used in one condition"
            if operand[0] == "value"
            else "Query key condition not supported"
        )
    path = binding.path(operand, KIND)
    if len(path) != 1:
        raise ValidationException(
            f"Invalid {KIND}: Key conditions on nested attributes are not supported"
        )
    return str(path[0])


def key_value(tree: Tree, part: KeyPart, binding: Binding) -> tuple[Value, bytes]:
    """The value with which a part of a key is compared, and as bytes. Raises ValidationException."""
    if tree[0] != "value":
        raise ValidationException(
            f"Invalid condition in {KIND}: Multiple attribute names used in one condition"
        )
    value = binding.value(tree[1], KIND)
    return value, checked_part(part, value, _MISMATCH)


def _shown(value: Value) -> str:
    [(kind, content)] = value.items()
    return f"{{{kind}:{content}}}"
