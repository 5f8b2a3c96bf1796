from __future__ import annotations

import pytest

from doppio.kernel import tags
from doppio.kernel.tags import BadTags


def test_new_tags_go_over_old_ones() -> None:
    assert tags.merged({"a": "1", "b": "2"}, {"b": "3"}) == {"a": "1", "b": "3"}
    assert tags.without({"a": "1", "b": "2"}, ["b", "c"]) == {"a": "1"}


@pytest.mark.parametrize(
    "bad", [{"": "x"}, {"k" * 129: "x"}, {"k": "v" * 257}, {"aws:x": "y"}, {"AWS:x": ""}]
)
def test_tags_that_aws_refuses_are_refused(bad: dict[str, str]) -> None:
    with pytest.raises(BadTags):
        tags.checked(bad)


def test_a_resource_has_at_most_fifty() -> None:
    fifty = {f"k{number}": "" for number in range(50)}
    assert len(tags.merged({}, fifty)) == 50
    assert len(tags.merged(fifty, {"k0": "again"})) == 50
    with pytest.raises(BadTags, match="at most 50"):
        tags.merged(fifty, {"one more": ""})


def test_both_shapes_cross_the_wire() -> None:
    shown = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    assert tags.to_list({"a": "1", "b": ""}) == shown
    assert tags.from_list(shown) == {"a": "1", "b": ""}
    assert tags.from_list([{"TagKey": "a"}], "TagKey", "TagValue") == {"a": ""}
    with pytest.raises(BadTags, match="Duplicate"):
        tags.from_list([*shown, {"Key": "a", "Value": "2"}])
