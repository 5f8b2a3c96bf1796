"""Expressions, and reads of many, beside a model that is as simple as can be."""

from __future__ import annotations

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from doppio.services.dynamodb.errors import ValidationException
from doppio.services.dynamodb.expressions.binding import Binding
from doppio.services.dynamodb.expressions.conditions import compile_condition
from doppio.services.dynamodb.expressions.updates import Update

from . import reference as r


def sent(item: dict[str, Any]) -> dict[str, Any]:
    """An item as it is sent."""
    return {name: r.wire(value) for name, value in item.items()}


def came(item: dict[str, Any]) -> dict[str, Any]:
    """An item that came."""
    return {name: r.plain(value) for name, value in item.items()}


@settings(max_examples=400, deadline=None)
@given(r.CONDITIONS, st.lists(r.ITEMS, min_size=3, max_size=8))
def test_a_condition_holds_where_the_model_says_so(tree: r.Tree, items: list[Any]) -> None:
    writer = r.Writer()
    text = writer.condition(tree)
    binding = Binding(writer.names, writer.values)
    found = compile_condition(text, binding, "ConditionExpression")
    binding.finish()
    for item in items:
        wanted = r.holds(tree, item)
        event(f"holds: {wanted}")
        assert found(sent(item)) == wanted, text


@settings(max_examples=400, deadline=None)
@given(r.UPDATES, r.ITEMS)
def test_an_update_makes_what_the_model_says(actions: list[r.Tree], item: Any) -> None:
    writer = r.Writer()
    text = writer.update(actions)
    try:
        wanted = r.changed(actions, item)
    except r.Wrong as error:
        wanted = None
        event(str(error))
    try:
        binding = Binding(writer.names, writer.values)
        update = Update(text, binding)
        binding.finish()
        found: Any = came(update.apply(sent(item)))
    except ValidationException:
        found = None
    assert (found is None) == (wanted is None), text
    assert found is None or r.same(found, wanted), text
