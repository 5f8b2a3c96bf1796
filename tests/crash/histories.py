"""Clients that do as they like with a few items of one table, and write down what they saw."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from .clients import Clients, Over, Unanswered, Unsent, code
from .linear import Call

KEYS = ("x", "y", "z")
# The items' values by their keys' order; None: no item.
State = tuple[str | None, ...]
EMPTY: State = (None,) * len(KEYS)
Step = Callable[[State], State | None]
TABLE = "history"


class History:
    """All calls of all clients."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls: list[Call[State]] = []

    def add(self, call: Call[State]) -> None:
        """Write down a call."""
        with self._lock:
            self.calls.append(call)

    def unanswered(self) -> int:
        """How many were not answered."""
        return sum(not one.answered for one in self.calls)


class Player:
    """One client: each step is one call, chosen by chance."""

    def __init__(
        self, clients: Clients, history: History, seed: int, *, transactions: bool = True
    ) -> None:
        self._clients = clients
        self._history = history
        self._random = random.Random(seed)
        self._name = f"p{seed}"
        self._count = 0
        self._known: dict[str, str | None] = dict.fromkeys(KEYS)
        self._kinds = [self.put, self.get, self.get, self.swap, self.swap, self.delete]
        if transactions:
            self._kinds += [self.transact, self.transact, self.snapshot]

    def play(self) -> None:
        """Do one step."""
        self._random.choice(self._kinds)()

    def _value(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count}"

    def _call(
        self, shown: str, method: str, answer: Callable[[dict[str, Any]], Step], unsure: Step,
        refused: Callable[[ClientError], Step] | None = None, **req: Any,
    ) -> None:  # fmt: skip
        """Make a call and write down what came of it; `unsure` is what it may have done."""
        begun = time.monotonic()
        try:
            got = self._clients.call("dynamodb", method, **req)
        except Unsent:
            raise
        except Unanswered:
            ended = time.monotonic()
            self._history.add(Call(begun, ended, unsure, answered=False, shown=shown))
            raise
        except ClientError as error:
            ended = time.monotonic()
            if refused is None:
                raise
            step, what = refused(error), f"{shown}: {code(error)}"
        else:
            ended = time.monotonic()
            step, what = answer(got), f"{shown}: {told(got)}"
        self._history.add(Call(begun, ended, step, shown=what))

    def put(self) -> None:
        """Put an item, and see which one was there."""
        name, value = self._random.choice(KEYS), self._value()
        self._call(
            f"put {name}={value}", "put_item",
            lambda got: replaced(name, old_of(got), value), lambda state: with_one(state, name, value),
            TableName=TABLE, Item=item(name, value), ReturnValues="ALL_OLD",
        )  # fmt: skip

    def delete(self) -> None:
        """Delete an item, and see which one was there."""
        name = self._random.choice(KEYS)
        self._call(
            f"delete {name}", "delete_item", lambda got: replaced(name, old_of(got), None),
            lambda state: with_one(state, name, None),
            TableName=TABLE, Key=key(name), ReturnValues="ALL_OLD",
        )  # fmt: skip

    def get(self) -> None:
        """Read an item."""
        name = self._random.choice(KEYS)

        def answer(got: dict[str, Any]) -> Step:
            self._known[name] = found = value_of(got.get("Item"))
            return lambda state: state if one_of(state, name) == found else None

        self._call(
            f"get {name}", "get_item", answer, lambda state: state,
            TableName=TABLE, Key=key(name), ConsistentRead=True,
        )  # fmt: skip

    def swap(self) -> None:
        """Change an item only if it is as it was seen last."""
        name, value = self._random.choice(KEYS), self._value()
        expected = self._known[name]
        condition, values = only_if(expected)

        def swapped(state: State) -> State | None:
            return with_one(state, name, value) if one_of(state, name) == expected else None

        def refused(error: ClientError) -> Step:
            if code(error) != "ConditionalCheckFailedException":
                raise error
            self._known[name] = found = value_of(error.response.get("Item"))
            return lambda state: (
                state if one_of(state, name) == found and found != expected else None
            )

        def answer(got: dict[str, Any]) -> Step:
            self._known[name] = value
            return swapped

        self._call(
            f"swap {name}: {expected} -> {value}", "update_item", answer, swapped, refused,
            TableName=TABLE, Key=key(name), UpdateExpression="SET v = :new",
            ConditionExpression=condition,
            ExpressionAttributeValues={":new": {"S": value}, **values},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )  # fmt: skip

    def transact(self) -> None:
        """Put two items together, if a third one, or one of them, is as it was seen."""
        first, second, asked = self._random.sample(KEYS, 3)
        if self._random.random() < 0.5:
            asked = first
        value, expected = self._value(), self._known[asked]
        condition, values = only_if(expected)
        puts = [{"TableName": TABLE, "Item": item(one, value)} for one in (first, second)]
        check: dict[str, Any] = {"ConditionExpression": condition}
        if values:
            check["ExpressionAttributeValues"] = values
        parts: list[dict[str, Any]] = [{"Put": puts[0]}, {"Put": puts[1]}]
        if asked == first:
            puts[0].update(check)
        else:
            parts.append({"ConditionCheck": {"TableName": TABLE, "Key": key(asked), **check}})

        def done(state: State) -> State | None:
            if one_of(state, asked) != expected:
                return None
            return with_one(with_one(state, first, value), second, value)

        def refused(error: ClientError) -> Step:
            if code(error) != "TransactionCanceledException":
                raise error
            return lambda state: None if one_of(state, asked) == expected else state

        self._call(
            f"transact {first}={second}={value} if {asked}={expected}", "transact_write_items",
            lambda got: done, done, refused, TransactItems=parts,
        )  # fmt: skip

    def snapshot(self) -> None:
        """Read all items at one moment."""

        def answer(got: dict[str, Any]) -> Step:
            found = tuple(value_of(one.get("Item")) for one in got["Responses"])
            self._known.update(zip(KEYS, found, strict=True))
            return lambda state: state if state == found else None

        self._call(
            "snapshot", "transact_get_items", answer, lambda state: state,
            TransactItems=[{"Get": {"TableName": TABLE, "Key": key(one)}} for one in KEYS],
        )  # fmt: skip


def play(players: list[Player], over: threading.Event) -> list[threading.Thread]:
    """Let all play at once until it is over; a failure ends it, and is in its thread's name."""

    def run(player: Player) -> None:
        while not over.is_set():
            try:
                player.play()
            except Unanswered:
                continue
            except Over:
                return
            except BaseException as error:
                threading.current_thread().name = f"failed: {error!r}"
                over.set()
                raise

    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in players]
    for thread in threads:
        thread.start()
    return threads


def one_of(state: State, name: str) -> str | None:
    """An item's value."""
    return state[KEYS.index(name)]


def with_one(state: State, name: str, value: str | None) -> State:
    """The state with another value of one item."""
    place = KEYS.index(name)
    return (*state[:place], value, *state[place + 1 :])


def replaced(name: str, old: str | None, new: str | None) -> Step:
    """A write that says what it has replaced."""
    return lambda state: with_one(state, name, new) if one_of(state, name) == old else None


def only_if(expected: str | None) -> tuple[str, dict[str, Any]]:
    """The condition that an item is as expected."""
    if expected is None:
        return "attribute_not_exists(id)", {}
    return "v = :old", {":old": {"S": expected}}


def key(name: str) -> dict[str, Any]:
    """The key of an item."""
    return {"id": {"S": name}}


def item(name: str, value: str) -> dict[str, Any]:
    """An item with a value."""
    return {**key(name), "v": {"S": value}}


def value_of(found: dict[str, Any] | None) -> str | None:
    """The value of an item, if there is one."""
    return found["v"]["S"] if found else None


def old_of(got: dict[str, Any]) -> str | None:
    """The value that a write has replaced."""
    return value_of(got.get("Attributes"))


def told(got: dict[str, Any]) -> str:
    """What an answer says, for the report."""
    if "Responses" in got:
        return str([value_of(one.get("Item")) for one in got["Responses"]])
    return str(value_of(got.get("Item") or got.get("Attributes")))
