"""Random inputs and results that a model allows, for Hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from doppio.wire.model import Member, Shape

DEPTH_MAX = 4

# What every protocol can carry as text. XML has no other control characters.
TEXT = st.text(
    st.characters(
        exclude_categories=("Cs", "Cc"),
        exclude_characters="\ufffe\uffff",
        include_characters="\n\t",
    ),
    min_size=1,
    max_size=12,
)
TOKEN = st.text("abcXYZ019-._", min_size=1, max_size=8)
# What may become part of a host's name.
LABEL = st.text("abcXYZ019-.", min_size=1, max_size=8)
TIMES = st.datetimes(
    datetime.fromisoformat("1971-01-01"), datetime.fromisoformat("2100-01-01")
).map(lambda at: at.replace(microsecond=0, tzinfo=UTC))


@st.composite
def values_of(draw: st.DrawFn, member: Member, depth: int = 0) -> Any:
    """A value of the member, never empty, so that it leaves a trace in every protocol."""
    shape = member.shape
    outside = member.location is not None
    if shape.type == "structure":
        return draw(structures(shape, depth + 1))
    if shape.type == "list":
        return draw(
            st.lists(values_of(_placed(shape.member, member), depth + 1), min_size=1, max_size=2)
        )
    if shape.type == "map":
        return draw(
            st.dictionaries(
                TOKEN.map(str.lower), values_of(shape.value, depth + 1), min_size=1, max_size=2
            )
        )
    if shape.type in ("integer", "long"):
        return draw(st.integers(-(2**31), 2**31 - 1))
    if shape.type in ("float", "double"):
        return draw(st.floats(allow_nan=False, allow_infinity=False, width=32))
    if shape.type == "boolean":
        return draw(st.booleans())
    if shape.type == "timestamp":
        return draw(TIMES)
    if shape.type == "blob":
        return draw(st.binary(min_size=1, max_size=20))
    if member.host_label:
        return draw(LABEL)
    return draw(TOKEN if outside or shape.enum else TEXT)


class _Placed:
    """A list's element that stands where its list stands."""

    def __init__(self, member: Member, outer: Member) -> None:
        self.shape = member.shape
        self.location = outer.location
        self.host_label = outer.host_label


def _placed(member: Member, outer: Member) -> Any:
    return _Placed(member, outer)


def simple(member: Member) -> bool:
    """Members that a round trip can carry as they are."""
    shape = member.shape
    return not (
        shape.event_stream
        or shape.document
        or member.json_value
        or member.location == "statusCode"
        or (member.location == "headers" and not member.wire_name)
    )


def holds_something(shape: Shape) -> bool:
    return any(
        member.shape.type not in ("structure", "list", "map") and simple(member)
        for member in shape.members.values()
    )


@st.composite
def structures(draw: st.DrawFn, shape: Shape, depth: int = 0) -> dict[str, Any]:
    """Some members of a structure; those that the path needs always, one only of a union."""
    members = [
        member for member in shape.members.values() if simple(member) and _fits(member, depth)
    ]
    needed = [m for m in members if m.location == "uri" or (not depth and m.name in shape.required)]
    free = [member for member in members if member not in needed]
    most = 1 if shape.union else 4
    least = 1 if free and (depth or shape.union) else 0
    chosen = draw(
        st.lists(st.sampled_from(free), min_size=least, max_size=most, unique=True)
        if free
        else st.just([])
    )
    return {member.name: draw(values_of(member, depth)) for member in [*needed, *chosen]}


def _fits(member: Member, depth: int) -> bool:
    shape = member.shape
    while shape.type in ("list", "map"):
        shape = shape.member.shape if shape.type == "list" else shape.value.shape
    if shape.type != "structure":
        return depth < DEPTH_MAX or member.shape.type not in ("list", "map")
    return not shape.document and holds_something(shape) and depth < DEPTH_MAX
