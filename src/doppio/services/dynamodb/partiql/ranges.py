"""Which rows a WHERE clause leaves: ranges of keys where it names them, else the whole table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Binding
from doppio.services.dynamodb.expressions.keys import AFTER, KeyRange, bounds, key_value
from doppio.services.dynamodb.expressions.syntax import Tree
from doppio.services.dynamodb.item_keys import encoded
from doppio.services.dynamodb.limits import IN_HASH_KEYS_MAX
from doppio.services.dynamodb.partiql.syntax import Statement
from doppio.services.dynamodb.records import KeyPart, Table
from doppio.services.dynamodb.values import Item, Value

KIND = "WHERE clause"
_NO_KEY = "Where clause does not contain a mandatory equality on all key attributes"


class Reach(NamedTuple):
    """The rows to look at, in order; `rest` is what is still to be tested of them.

    `hashes` are the hash keys that the clause names; none: the whole table is to be scanned.
    """

    ranges: list[KeyRange]
    rest: Tree | None
    hashes: tuple[tuple[Value, ...], ...]


def terms(tree: Tree | None) -> list[Tree]:
    """The conditions of which all must hold."""
    if tree is None:
        return []
    if tree[0] == "and":
        return [*terms(tree[1]), *terms(tree[2])]
    return [tree]


def together(trees: Sequence[Tree]) -> Tree | None:
    """The condition that all of some hold."""
    found: Tree | None = None
    for one in trees:
        found = one if found is None else ("and", found, one)
    return found


def reach(where: Tree | None, parts: Sequence[KeyPart], binding: Binding) -> Reach:
    """The rows that a clause can mean. Raises ValidationException."""
    left = terms(where)
    prefixes: list[tuple[bytes, tuple[Value, ...]]] = [(b"", ())]
    for part in parts:
        if not part.hash:
            break
        chosen = _equality(left, part)
        if chosen is None:
            return Reach([KeyRange(b"", AFTER)], where, ())
        left.remove(chosen)
        options = _options(chosen, part, binding)
        if len(prefixes) * len(options) > IN_HASH_KEYS_MAX:
            raise ValidationException(
                "The IN operator is provided with too many hash keys; number of hash keys: "
                f"{len(prefixes) * len(options)}"
            )
        prefixes = [
            (before + encoded(value), (*values, value))
            for before, values in prefixes
            for value in options
        ]
    below = [KeyRange(b"", AFTER)]
    begins = [b""]
    for part in parts:
        if part.hash:
            continue
        chosen = _equality(left, part)
        if chosen is not None:
            left.remove(chosen)
            options = _options(chosen, part, binding)
            begins = [before + encoded(value) for before in begins for value in options]
            below = [KeyRange(begin, begin + AFTER) for begin in begins]
            continue
        chosen = next((one for one in left if _bounds(one, part)), None)
        if chosen is not None:
            left.remove(chosen)
            below = [bounds(begin, part, chosen, binding) for begin in begins]
        break
    ranges = {
        (before + one.lo): KeyRange(before + one.lo, before + one.hi)
        for before, _ in prefixes
        for one in below
    }
    return Reach(list(ranges.values()), together(left), tuple(values for _, values in prefixes))


def _names(tree: Tree, part: KeyPart) -> bool:
    return bool(tree == ("path", (part.name,)))


def _equality(left: Sequence[Tree], part: KeyPart) -> Tree | None:
    """The first condition that says what a part of the key is."""
    for one in left:
        if one[0] == "cmp" and one[1] == "=" and _names(one[2], part) and one[3][0] == "value":
            return one
        if one[0] == "in" and _names(one[1], part) and all(it[0] == "value" for it in one[2]):
            return one
    return None


def _bounds(tree: Tree, part: KeyPart) -> bool:
    """Whether a condition bounds a part of the key."""
    if tree[0] == "cmp":
        return tree[1] != "<>" and _names(tree[2], part) and bool(tree[3][0] == "value")
    if tree[0] == "between":
        return _names(tree[1], part) and tree[2][0] == tree[3][0] == "value"
    if tree[0] == "call" and tree[1] == "begins_with":
        return _names(tree[2], part) and bool(tree[3][0] == "value") and part.type != "N"
    return False


def _options(tree: Tree, part: KeyPart, binding: Binding) -> list[Value]:
    trees = tree[2] if tree[0] == "in" else (tree[3],)
    return [key_value(one, part, binding)[0] for one in trees]


def in_order(
    statement: Statement, found: Reach, parts: Sequence[KeyPart]
) -> tuple[list[KeyRange], bool, list[int]]:
    """The ranges as ORDER BY wants them, and whether each is read from its end.

    Where it wants the sort key over several partition keys, they are to be read together: then also
    behind how many bytes of its keys each range has its sort key.
    """
    if not statement.order:
        return found.ranges, False, []
    if statement.where is None:
        raise ValidationException(
            "Must have WHERE clause in the statement when using ORDER BY clause."
        )
    if not found.hashes:
        raise ValidationException(
            "Must have at least one non-optional hash key condition in WHERE clause when using "
            "ORDER BY clause."
        )
    wanted = dict(statement.order)
    for name in wanted:
        if all(part.name != name for part in parts):
            raise ValidationException(
                f"Variable reference {name} in ORDER BY clause must be part of the primary key"
            )
    hashes = [part.name for part in parts if part.hash]
    ranges = [part.name for part in parts if not part.hash]
    by_hash = [wanted[name] for name in hashes if name in wanted]
    by_range = [wanted[name] for name in ranges if name in wanted]
    if len(set(by_range)) > 1 or len(set(by_hash)) > 1 or (len(hashes) > 1 and by_hash):
        raise ValidationException("ORDER BY must have one direction for all parts of a key")
    down = by_range[0] if by_range else False
    # Ranges of one hash key follow its direction in the range key; hash keys follow their own.
    groups: dict[bytes, list[KeyRange]] = {}
    for values in found.hashes:
        before = b"".join(encoded(value) for value in values)
        groups[before] = [one for one in found.ranges if one.lo.startswith(before)]
    if len(found.hashes) > 1 and (not by_hash or next(iter(wanted)) not in hashes):
        together_read = [(one, len(before)) for before, own in groups.items() for one in own]
        return [one for one, _ in together_read], down, [at for _, at in together_read]
    ordered: list[KeyRange] = []
    for before in sorted(groups, reverse=bool(by_hash) and by_hash[0]):
        ordered += sorted(groups[before], key=lambda one: one.lo, reverse=down)
    return ordered, down, []


def primary_key_of(
    statement: Statement, table: Table, binding: Binding
) -> tuple[Item, Tree | None] | None:
    """The key that a clause names by equality, and what else it asks; None where it does not."""
    left = terms(statement.where)
    key: Item = {}
    for part in table.key:
        chosen = next(
            (
                one
                for one in left
                if one[0] == "cmp" and one[1] == "=" and _names(one[2], part)
                and one[3][0] == "value"
            ),
            None,
        )  # fmt: skip
        if chosen is None:
            return None
        left.remove(chosen)
        key[part.name] = binding.value(chosen[3][1], KIND)
    return key, together(left)


def mandatory_key(
    statement: Statement, table: Table, binding: Binding, otherwise: str = _NO_KEY
) -> tuple[Item, Tree | None]:
    """The same; raises ValidationException where the clause does not name a key."""
    found = primary_key_of(statement, table, binding)
    if found is None:
        raise ValidationException(otherwise)
    return found
