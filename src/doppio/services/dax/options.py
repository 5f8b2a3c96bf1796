"""What a request says beside its keys and items: a map of numbers, by which AWS's members go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.services.dax import expressions
from doppio.services.dax.cbor import BadWire
from doppio.services.dax.expressions import Path, Placeholders
from doppio.services.dax.items import Schema, read_compound, read_key

PROJECTION, CONSISTENT, CAPACITY, CONDITION, METRICS, RETURN = 0, 2, 3, 4, 6, 7
UPDATE, START_KEY, FILTER, INDEX, LIMIT, FORWARD, SELECT = 8, 9, 10, 11, 13, 14, 15
SEGMENT, SEGMENTS, TOKEN = 16, 17, 19
_WORDS: dict[int, tuple[str, dict[int, str]]] = {
    CAPACITY: ("ReturnConsumedCapacity", {0: "NONE", 1: "TOTAL", 2: "INDEXES"}),
    METRICS: ("ReturnItemCollectionMetrics", {0: "NONE", 1: "SIZE"}),
    RETURN: (
        "ReturnValues",
        {1: "NONE", 2: "ALL_OLD", 3: "UPDATED_OLD", 4: "ALL_NEW", 5: "UPDATED_NEW"},
    ),
    SELECT: (
        "Select",
        {1: "ALL_ATTRIBUTES", 2: "ALL_PROJECTED_ATTRIBUTES", 3: "COUNT", 4: "SPECIFIC_ATTRIBUTES"},
    ),
}
_NUMBERS = {LIMIT: "Limit", SEGMENT: "Segment", SEGMENTS: "TotalSegments"}
_TRUTHS = {CONSISTENT: "ConsistentRead", FORWARD: "ScanIndexForward"}
_EXPRESSIONS = {CONDITION: "ConditionExpression", FILTER: "FilterExpression"}


class Options:
    """The options of a request. Raises BadWire for what no client writes."""

    def __init__(self, given: Any) -> None:
        if given is None:
            given = {}
        if not isinstance(given, dict) or not all(type(one) is int for one in given):
            raise BadWire("no options")
        self.given: Mapping[int, Any] = given
        self.places = Placeholders()
        self.paths: list[Path] | None = None
        if PROJECTION in given:
            self.paths = expressions.projection(blob(given[PROJECTION]))

    @property
    def consistent(self) -> bool:
        """Whether the read may not come from the caches."""
        return bool(self.given.get(CONSISTENT))

    def words(self) -> dict[str, Any]:
        """The members that are a word, a number or a truth."""
        found: dict[str, Any] = {}
        for number, value in self.given.items():
            if number in _WORDS:
                name, words = _WORDS[number]
                if type(value) is not int or value not in words:
                    raise BadWire("no such word")
                found[name] = words[value]
            elif number in _NUMBERS:
                if type(value) is not int:
                    raise BadWire("no number")
                found[_NUMBERS[number]] = value
            elif number in _TRUTHS:
                found[_TRUTHS[number]] = bool(value)
            elif number == INDEX:
                found["IndexName"] = text(value)
            elif number == TOKEN:
                found["ClientRequestToken"] = text(value)
        return found

    def projection(self, places: Placeholders | None = None) -> dict[str, Any]:
        """The projection as DynamoDB is asked for it."""
        if self.paths is None:
            return {}
        return {"ProjectionExpression": expressions.asked(self.paths, places or self.places)}

    def request(self, schema: Schema) -> dict[str, Any]:
        """All that is no projection, with the expressions as texts; placeholders come last."""
        req = self.words()
        for number, name in _EXPRESSIONS.items():
            if number in self.given:
                req[name] = expressions.condition(blob(self.given[number]), self.places)
        if UPDATE in self.given:
            req["UpdateExpression"] = expressions.update(blob(self.given[UPDATE]), self.places)
        if START_KEY in self.given:
            data = blob(self.given[START_KEY])
            req["ExclusiveStartKey"] = (
                read_compound(data) if INDEX in self.given else read_key(data, schema)
            )
        return req


def blob(value: Any) -> bytes:
    """Bytes. Raises BadWire for anything else."""
    if not isinstance(value, bytes):
        raise BadWire("no bytes")
    return value


def text(value: Any) -> str:
    """A text, which some clients write as bytes. Raises BadWire."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise BadWire("no UTF-8") from error
    if not isinstance(value, str):
        raise BadWire("no text")
    return value


def array(value: Any) -> list[Any]:
    """A list. Raises BadWire for anything else."""
    if not isinstance(value, list):
        raise BadWire("no list")
    return value


def table_map(value: Any) -> dict[str, Any]:
    """Something by table. Raises BadWire for anything else."""
    if not isinstance(value, dict):
        raise BadWire("no map")
    return {text(name): one for name, one in value.items()}
