"""What a statement does to one item, as a change that items, batches and transactions know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Tx
from doppio.services.dynamodb.errors import DuplicateItemException, ValidationException
from doppio.services.dynamodb.expressions.conditions import Test, test
from doppio.services.dynamodb.expressions.updates import Update
from doppio.services.dynamodb.items import Change, Check
from doppio.services.dynamodb.partiql.ranges import KIND, mandatory_key
from doppio.services.dynamodb.partiql.syntax import Statement, read
from doppio.services.dynamodb.partiql.values import Bound
from doppio.services.dynamodb.records import Table
from doppio.services.dynamodb.throttling import Watch
from doppio.services.dynamodb.values import Item


class Insert(Change):
    """A put where nothing may be in the way."""

    def _check(
        self, tx: Tx, table: Table, old: Item | None, size: int, watch: Watch | None
    ) -> None:
        if old is not None:
            self._count_refused(tx, table, size, watch)
            raise DuplicateItemException()


def prepared(given: Mapping[str, Any]) -> tuple[Statement, Bound]:
    """A statement with its parameters. Raises ValidationException."""
    statement = read(given["Statement"])
    parameters = given.get("Parameters", ())
    if len(parameters) != statement.parameters:
        raise ValidationException("Number of parameters in request and statement don't match.")
    return statement, Bound(statement.values, parameters)


def change_of(given: Mapping[str, Any], statement: Statement, bound: Bound, table: Table) -> Change:
    """The change that a statement asks for. Raises ValidationException."""
    shows_old = given.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    if statement.verb == "INSERT":
        assert statement.item is not None
        value = bound.value(statement.item, "VALUE")
        if "M" not in value:
            raise ValidationException("Expected a tuple as the value of an INSERT")
        return Insert(item=value["M"], condition=_anything)
    key, rest = mandatory_key(statement, table, bound)
    condition = None if rest is None else test(rest, bound, KIND)
    if statement.verb == "EXISTS":
        return _existing(statement, key, condition, shows_old=shows_old)
    if statement.verb == "UPDATE":
        # An update never makes an item: it is of what is there.
        return Change(
            key=key, update=Update(statement.clauses, bound), condition=_present(condition),
            show_old=shows_old,
        )  # fmt: skip
    return Change(key=key, condition=_absent_or(condition), show_old=shows_old)


def _existing(
    statement: Statement, key: Item, condition: Test | None, *, shows_old: bool
) -> Change:
    if condition is None:
        raise ValidationException(
            "EXISTS must have at least one condition beside those on the primary key"
        )
    return Check(key=key, condition=condition, show_old=shows_old)


def _anything(item: Item) -> bool:
    return True


def _present(condition: Test | None) -> Test:
    if condition is None:
        return bool
    held = condition
    return lambda item: bool(item) and held(item)


def _absent_or(condition: Test | None) -> Test | None:
    """Deleting what is not there is no error, whatever else is asked of it."""
    if condition is None:
        return None
    held = condition
    return lambda item: not item or held(item)
