"""DynamoDB's expressions in their simplest form: trees over Python values, to compare with.

A number is a Decimal, and no bool is one. What is generated is a tree; `Writer` makes the expression of
it, `holds` and `changed` say what it means. A `Wrong` is what DynamoDB refuses.
"""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

Tree = tuple[Any, ...]
Path = tuple[str | int, ...]
_MISSING = object()

STRINGS = st.sampled_from(["", "a", "ab", "é", "\U0001f600"])
NUMBERS = st.sampled_from([Decimal(one) for one in ("-1.5", "0", "2", "1e20")])
BINARIES = st.sampled_from([b"", b"a", b"a\0"])
ORDERED = st.one_of(STRINGS, NUMBERS, BINARIES)
SCALARS = st.one_of(ORDERED, st.booleans(), st.none())
SETS = st.one_of(
    *(
        st.sets(one.filter(lambda value: value != "" and value != b""), min_size=1, max_size=3)
        for one in (STRINGS, NUMBERS, BINARIES)
    )
)
VALUES = st.recursive(
    st.one_of(SCALARS, SETS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("xy"), inner, max_size=2)
    ),
    max_leaves=4,
)
NAMES = ("a", "b", "c", "m", "l")
PATHS = st.one_of(
    st.sampled_from([(name,) for name in NAMES]),
    st.sampled_from(
        [("m", "x"), ("m", "y"), ("l", 0), ("l", 1), ("l", 7), ("m", "x", 0), ("l", 0, "x")]
    ),
)
ITEMS = st.fixed_dictionaries(
    {"b": ORDERED},
    optional={
        "a": VALUES,
        "c": st.one_of(SETS, SCALARS),
        "m": st.dictionaries(st.sampled_from("xy"), VALUES, max_size=2),
        "l": st.lists(VALUES, max_size=3),
    },
)
SIGNS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])


class Wrong(Exception):
    """What is refused."""


def kind(value: Any) -> str:
    """DynamoDB's type of a value."""
    if isinstance(value, bool):
        return "BOOL"
    if value is None:
        return "NULL"
    if isinstance(value, set):
        return {str: "SS", bytes: "BS", Decimal: "NS"}[type(next(iter(value)))]
    return {str: "S", bytes: "B", Decimal: "N", list: "L", dict: "M"}[type(value)]


def wire(value: Any) -> dict[str, Any]:
    """A value as it is sent."""
    name = kind(value)
    if name == "N":
        return {"N": str(value)}
    if name == "NS":
        return {"NS": [str(one) for one in value]}
    if name in ("SS", "BS"):
        return {name: list(value)}
    if name == "L":
        return {"L": [wire(one) for one in value]}
    if name == "M":
        return {"M": {key: wire(one) for key, one in value.items()}}
    return {name: True if name == "NULL" else value}


def plain(sent: dict[str, Any]) -> Any:
    """A value that came."""
    [(name, content)] = sent.items()
    if name == "N":
        return Decimal(content)
    if name == "NS":
        return {Decimal(one) for one in content}
    if name in ("SS", "BS"):
        return set(content)
    if name == "L":
        return [plain(one) for one in content]
    if name == "M":
        return {key: plain(one) for key, one in content.items()}
    return None if name == "NULL" else content


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal: of one type, and so their parts."""
    if kind(one) != kind(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def at(item: Any, path: Path) -> Any:
    """What lies at a path; `_MISSING` where nothing does."""
    for part in path:
        if not isinstance(item, dict if isinstance(part, str) else list):
            return _MISSING
        try:
            item = item[part]
        except LookupError:
            return _MISSING
    return item


def _ordered(sign: str, one: Any, other: Any) -> bool:
    if kind(one) != kind(other) or kind(one) not in ("S", "N", "B"):
        return False
    if isinstance(one, str):
        one, other = one.encode(), other.encode()
    return bool({"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[sign])


BOUNDS = st.one_of(
    *(
        st.tuples(one, one).map(lambda two: two if _ordered("<=", *two) else two[::-1])
        for one in (STRINGS, NUMBERS, BINARIES)
    )
)
LEAVES = st.one_of(
    # Most often what can be compared is: the ends of ranges are what goes wrong.
    st.tuples(st.just("cmp"), SIGNS, st.just(("b",)), ORDERED),
    st.tuples(st.just("between"), st.just(("b",)), BOUNDS).map(lambda one: (*one[:2], *one[2])),
    st.tuples(st.just("cmp"), st.sampled_from(["=", "<>"]), PATHS, VALUES),
    st.tuples(st.just("cmp"), st.sampled_from(["<", "<=", ">", ">="]), PATHS, ORDERED),
    st.tuples(st.just("in"), PATHS, st.lists(VALUES, min_size=1, max_size=3)),
    st.tuples(st.just("between"), PATHS, BOUNDS).map(lambda one: (*one[:2], *one[2])),
    st.tuples(st.just("begins_with"), PATHS, st.one_of(STRINGS, BINARIES)),
    st.tuples(st.just("contains"), PATHS, SCALARS),
    st.tuples(st.just("attribute_exists"), PATHS),
    st.tuples(st.just("attribute_not_exists"), PATHS),
    st.tuples(
        st.just("attribute_type"), PATHS,
        st.sampled_from(["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"]),
    ),
    st.tuples(st.just("size"), SIGNS, PATHS, st.integers(0, 4).map(Decimal)),
)  # fmt: skip
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=6,
)


def holds(tree: Tree, item: dict[str, Any]) -> bool:
    """Whether a condition holds for an item."""
    head = tree[0]
    if head == "not":
        return not holds(tree[1], item)
    if head == "and":
        return holds(tree[1], item) and holds(tree[2], item)
    if head == "or":
        return holds(tree[1], item) or holds(tree[2], item)
    if head == "size":
        found = at(item, tree[2])
        size = None if found is _MISSING else _size(found)
        if size is None:
            return bool(tree[1] == "<>")
        return _compared(tree[1], Decimal(size), tree[3])
    value = at(item, tree[2] if head == "cmp" else tree[1])
    if head == "cmp":
        return _compared(tree[1], value, tree[3])
    if head == "attribute_not_exists":
        return value is _MISSING
    if value is _MISSING:
        return False
    return _leaf(head, value, tree)


def _leaf(head: str, value: Any, tree: Tree) -> bool:
    if head == "attribute_exists":
        return True
    if head == "in":
        return any(same(value, one) for one in tree[2])
    if head == "between":
        return _ordered(">=", value, tree[2]) and _ordered("<=", value, tree[3])
    if head == "attribute_type":
        return bool(kind(value) == tree[2])
    if head == "begins_with":
        return kind(value) == kind(tree[2]) and value.startswith(tree[2])
    assert head == "contains"
    wanted = tree[2]
    if kind(value) == "L" or kind(value) in ("SS", "NS", "BS"):
        return any(same(one, wanted) for one in value)
    return kind(value) in ("S", "B") and kind(value) == kind(wanted) and wanted in value


def _compared(sign: str, one: Any, other: Any) -> bool:
    if one is _MISSING:
        return sign == "<>"
    if sign in ("=", "<>"):
        return same(one, other) == (sign == "=")
    return _ordered(sign, one, other)


def _size(value: Any) -> int | None:
    if isinstance(value, str):
        return len(value.encode())
    return None if kind(value) in ("N", "BOOL", "NULL") else len(value)


class Writer:
    """Writes trees as expressions, with placeholders for values and for every other name."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def members(self) -> dict[str, Any]:
        """The placeholders, as a request has them."""
        found: dict[str, Any] = {}
        if self.names:
            found["ExpressionAttributeNames"] = self.names
        if self.values:
            found["ExpressionAttributeValues"] = self.values
        return found

    def value(self, value: Any) -> str:
        """A placeholder for a value."""
        name = f":v{len(self.values)}"
        self.values[name] = wire(value)
        return name

    def path(self, path: Path) -> str:
        """A path."""
        text = ""
        for number, part in enumerate(path):
            if isinstance(part, int):
                text += f"[{part}]"
                continue
            if number % 2 == 0:
                self.names[f"#{part}"] = part
                part = f"#{part}"
            text += f".{part}" if text else part
        return text

    def condition(self, tree: Tree, above: int = 0) -> str:
        """A condition, with no more parentheses than it takes."""
        head = tree[0]
        if head in ("and", "or"):
            binds = 2 if head == "and" else 1
            # The right side is taken first only in parentheses.
            text = (
                f"{self.condition(tree[1], binds)} {head.upper()} "
                f"{self.condition(tree[2], binds + 1)}"
            )
            return f"({text})" if binds < above else text
        if head == "not":
            return f"NOT {self.condition(tree[1], 3)}"
        if head == "cmp":
            return f"{self.path(tree[2])} {tree[1]} {self.value(tree[3])}"
        if head == "size":
            return f"size({self.path(tree[2])}) {tree[1]} {self.value(tree[3])}"
        if head == "in":
            return f"{self.path(tree[1])} IN ({', '.join(map(self.value, tree[2]))})"
        if head == "between":
            low, high = self.value(tree[2]), self.value(tree[3])
            return f"{self.path(tree[1])} BETWEEN {low} AND {high}"
        more = "".join(f", {self.value(one)}" for one in tree[2:])
        return f"{head}({self.path(tree[1])}{more})"

    def update(self, actions: list[Tree]) -> str:
        """An update, its clauses in the order of their first actions."""
        clauses: dict[str, list[str]] = {}
        for verb, path, *more in actions:
            clauses.setdefault(verb.split()[0], []).append(self._action(verb, path, more))
        return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items())

    def _action(self, verb: str, path: Path, more: list[Any]) -> str:
        target = self.path(path)
        if verb == "REMOVE":
            return target
        if verb in ("ADD", "DELETE"):
            return f"{target} {self.value(more[0])}"
        if verb == "SET":
            return f"{target} = {self.value(more[0])}"
        source = self.path(more[0])
        if verb in ("SET +", "SET -"):
            return f"{target} = {source} {verb[-1]} {self.value(more[1])}"
        return f"{target} = {verb.split()[1]}({source}, {self.value(more[1])})"


TOP = st.sampled_from([(name,) for name in NAMES])
SMALL = st.integers(-3, 3).map(Decimal)
ACTIONS = st.one_of(
    st.tuples(st.just("SET"), PATHS, VALUES),
    st.tuples(st.sampled_from(["SET +", "SET -"]), TOP, PATHS, SMALL),
    st.tuples(st.just("SET if_not_exists"), TOP, PATHS, VALUES),
    st.tuples(st.just("SET list_append"), TOP, PATHS, st.lists(SCALARS, max_size=2)),
    st.tuples(st.just("REMOVE"), PATHS),
    st.tuples(st.just("ADD"), TOP, st.one_of(SMALL, SETS)),
    st.tuples(st.just("DELETE"), TOP, SETS),
)
UPDATES = st.lists(ACTIONS, min_size=1, max_size=3, unique_by=lambda one: one[1][0])


def changed(actions: list[Tree], old: dict[str, Any]) -> dict[str, Any]:
    """What an update makes of an item. Raises Wrong."""
    new = copy.deepcopy(old)
    for verb, path, *more in actions:
        if verb == "REMOVE":
            _removed(new, path)
        elif verb in ("ADD", "DELETE"):
            _added(new, old, verb, path[0], more[0])
        else:
            _set(new, path, copy.deepcopy(_operand(verb, old, more)))
    return new


def _operand(verb: str, old: dict[str, Any], more: list[Any]) -> Any:
    if verb == "SET":
        return more[0]
    found = at(old, more[0])
    if verb == "SET if_not_exists":
        return more[1] if found is _MISSING else found
    if found is _MISSING:
        raise Wrong("the provided expression refers to an attribute that is not there")
    if verb == "SET list_append":
        if not isinstance(found, list):
            raise Wrong("no list")
        return [*found, *more[1]]
    if kind(found) != "N":
        raise Wrong("no number")
    return found + more[1] if verb == "SET +" else found - more[1]


def _holder(item: dict[str, Any], path: Path) -> Any:
    holder = at(item, path[:-1])
    if holder is _MISSING or not isinstance(holder, dict if isinstance(path[-1], str) else list):
        raise Wrong("the document path is invalid for update")
    return holder


def _set(item: dict[str, Any], path: Path, value: Any) -> None:
    holder, last = _holder(item, path), path[-1]
    if isinstance(last, int) and last >= len(holder):
        holder.append(value)
    else:
        holder[last] = value


def _removed(item: dict[str, Any], path: Path) -> None:
    holder, last = _holder(item, path), path[-1]
    if isinstance(last, str):
        holder.pop(last, None)
    elif last < len(holder):
        del holder[last]


def _added(new: dict[str, Any], old: dict[str, Any], verb: str, name: str, value: Any) -> None:
    found = old.get(name, _MISSING)
    if found is _MISSING:
        if verb == "ADD":
            new[name] = value
        return
    if kind(found) != kind(value):
        raise Wrong("an operand has an incorrect type")
    if verb == "DELETE":
        left = found - value
        if left:
            new[name] = left
        else:
            del new[name]
    else:
        new[name] = found | value if isinstance(value, set) else found + value
