"""Finding buses and rules by name or ARN, pages of lists, and EventBridge's words where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.kernel.paging import begins, page_of, position
from doppio.services.events import limits
from doppio.services.events.errors import LimitExceeded, ResourceNotFound, Validation
from doppio.services.events.records import DEFAULT, Bus, Rule

T = TypeVar("T")


class Place(NamedTuple):
    """Which bus is meant."""

    account: str
    region: str
    name: str


def place_of(ctx: Context, name: str | None) -> Place:
    """The bus of a name or ARN; none is the account's default bus."""
    if not name:
        return Place(account_of(ctx), ctx.region, DEFAULT)
    if not name.startswith("arn:"):
        return Place(account_of(ctx), ctx.region, name)
    parts = name.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("event-bus/"):
        raise Validation(
            "Parameter EventBusName is not valid. Reason: Provided Arn is not in correct format."
        )
    return Place(parts[4], parts[3], parts[5].partition("/")[2])


def account_of(ctx: Context) -> str:
    """Whose default bus is meant: a service speaks for the account of its resource."""
    return ctx.caller.account if ctx.caller.kind == "service" else ctx.account


def bus_arn(ctx: Context, place: Place) -> str:
    """The ARN of a bus, whether it is there or not."""
    return f"arn:{ctx.partition}:events:{place.region}:{place.account}:event-bus/{place.name}"


def rule_arn(ctx: Context, place: Place, name: str) -> str:
    """The ARN of a rule, whether it is there or not."""
    inside = "" if place.name == DEFAULT else f"{place.name}/"
    return f"arn:{ctx.partition}:events:{place.region}:{place.account}:rule/{inside}{name}"


async def bus_at(reader: Reader, place: Place) -> Bus | None:
    """A bus, if it is there; the default bus always is."""
    found = await reader.get(Bus, *place)
    if found is None and place.name == DEFAULT:
        return Bus(
            account=place.account,
            region=place.region,
            name=DEFAULT,
            partition=reader.context.partition,
        )
    return found


async def existing_bus(reader: Reader, place: Place) -> Bus:
    """A bus. Raises ResourceNotFound."""
    found = await bus_at(reader, place)
    if found is None:
        raise ResourceNotFound(f"Event bus {place.name} does not exist.")
    return found


async def existing_rule(reader: Reader, place: Place, name: str) -> Rule:
    """A rule of a bus. Raises ResourceNotFound."""
    await existing_bus(reader, place)
    found = await reader.get(Rule, *place, name)
    if found is None:
        raise ResourceNotFound(f"Rule {name} does not exist on EventBus {place.name}.")
    return found


async def page(
    reader: Reader,
    kind: type[T],
    prefix: tuple[Any, ...],
    req: Mapping[str, Any],
    *,
    wanted: Any = None,
) -> tuple[list[T], dict[str, str]]:
    """A page of the wanted records whose names begin as asked for, and where the next one begins."""
    name = req.get("NamePrefix") or ""
    scope = "/".join([kind.__name__, *map(str, prefix), name])
    shown, token = await page_of(
        reader, kind, prefix, most=req.get("Limit") or limits.LISTED_MAX, scope=scope,
        after=position(req.get("NextToken"), scope, bad_token), fits=wanted,
        step=limits.LISTED_MAX, **begins(name),
    )  # fmt: skip
    return shown, {} if token is None else {"NextToken": token}


def bad_token() -> Validation:
    """What a token is told that a list never gave."""
    return Validation("Token value is not valid.")


def listed_tags(given: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Tags as requests bring them. Raises Validation."""
    return merged_tags({}, given or ())


def merged_tags(old: Mapping[str, str], given: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Tags with new ones put over them, or EventBridge's refusal."""
    try:
        new = tags.from_list(given)
        if len({**old, **new}) > tags.TAGS_MAX:
            raise LimitExceeded
        return tags.merged(old, new)
    except tags.BadTags as error:
        raise Validation(str(error)) from error


async def check_room(reader: Reader, kind: type[Any], prefix: tuple[Any, ...], most: int) -> None:
    """Raise LimitExceeded where as many are there as may be."""
    if len(await reader.list(kind, prefix, limit=most)) >= most:
        raise LimitExceeded
