"""Calling a server outside for an event, as its API destination and connection say.

Source: "API destinations as targets in Amazon EventBridge".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from doppio.kernel.context import Context, Tx
from doppio.services.events import limits
from doppio.services.events.credentials import (
    login_headers,
    pairs,
    with_body_parameters,
    with_query,
)
from doppio.services.events.destinations import connection_at
from doppio.services.events.errors import ResourceNotFound
from doppio.services.events.outcomes import Done, Failed, Later, Outcome
from doppio.services.events.records import Connection, Delivery, Destination, Pace
from doppio.services.events.secrets import secret_value
from doppio.services.events.tokens import NoToken, forget_token, token_of
from doppio.services.events.transform import BadPath, at_path
from doppio.wire.arn import parse

AGENT = "Amazon/EventBridge/ApiDestinations"
# What a server says that it may not say the next time.
_AGAIN = frozenset({401, 407, 409, 429})
# A pause of more than the greatest age of an event ends it.
_PAUSE_SECONDS_MAX = 2 * limits.EVENT_AGE_SECONDS_DEFAULT
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class Called(NamedTuple):
    """What became of a call, and what the server said."""

    outcome: Outcome
    body: bytes = b""


async def call_destination(ctx: Context, delivery: Delivery, text: str) -> Outcome:
    """Call the server of a target once, unless its rate is used up."""
    given = delivery.target.get("HttpParameters") or {}
    event = json.loads(delivery.event)
    return (await call_server(ctx, delivery.target["Arn"], _filled(given, event), text)).outcome


def _filled(given: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a call, where they are paths with what lies there in the event."""
    return {
        "HeaderParameters": _values(given.get("HeaderParameters"), event),
        "QueryStringParameters": _values(given.get("QueryStringParameters"), event),
        "PathParameterValues": [
            _value(one, event) for one in given.get("PathParameterValues") or ()
        ],
    }


async def call_server(ctx: Context, arn: str, given: Mapping[str, Any], text: str) -> Called:
    """Call the server of an API destination once, unless its rate is used up."""
    reader = ctx.read()
    found = parse(arn)
    name = found.resource.split("/")[1]
    destination = await reader.get(Destination, found.account, found.region, name)
    if destination is None or destination.arn != arn:
        raise ResourceNotFound(f"An api-destination '{name}' does not exist.")
    connection = await connection_at(reader, destination.connection)
    if connection.state == "UPDATING":
        return Called(Failed("CONNECTION_FAILURE", "The connection is UPDATING.", True))
    if connection.state not in {"AUTHORIZED", "AUTHORIZING"}:
        return Called(Failed("CONNECTION_FAILURE", f"The connection is {connection.state}.", False))
    free_at = await ctx.transact(lambda tx: _take_turn(tx, destination))
    if free_at is not None:
        return Called(Later(free_at))
    secret = await secret_value(ctx, connection)
    token = None
    if connection.kind == "OAUTH_CLIENT_CREDENTIALS":
        try:
            token = await token_of(ctx, connection, secret)
        except NoToken as error:
            return Called(Failed("CONNECTION_FAILURE", str(error), True))
    return await _call(ctx, given, destination, connection, secret, token, text)


async def _call(
    ctx: Context,
    given: Mapping[str, Any],
    destination: Destination,
    connection: Connection,
    secret: Mapping[str, Any],
    token: str | None,
    text: str,
) -> Called:
    always = secret.get("invocation_http_parameters")
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": AGENT,
        "Range": "bytes=0-1048575",
        **(given.get("HeaderParameters") or {}),
        **pairs(always, "HeaderParameters"),
        **login_headers(connection.kind, secret, token),
    }
    query = {
        **(given.get("QueryStringParameters") or {}),
        **pairs(always, "QueryStringParameters"),
    }
    url = destination.endpoint
    for value in given.get("PathParameterValues") or ():
        url = url.replace("*", quote(value, safe=""), 1)
    body = b""
    if destination.method not in _BODILESS:
        body = with_body_parameters(text, pairs(always, "BodyParameters")).encode()
    answer = await ctx.machine.http.send(
        destination.method,
        with_query(url, query),
        headers=headers,
        body=body,
        seconds_max=limits.INVOCATION_SECONDS_MAX,
        bytes_max=limits.ANSWER_BYTES_MAX + 1,
    )
    if len(answer.body) > limits.ANSWER_BYTES_MAX:
        return Called(Failed("SDK_CLIENT_ERROR", "The server's answer is too long.", False))
    if answer.ok:
        return Called(Done(), answer.body)
    if answer.status == 0:
        return Called(Failed("CONNECTION_FAILURE", answer.error, True))
    if answer.status in {401, 407}:
        forget_token(ctx, connection)
    again = answer.status >= 500 or answer.status in _AGAIN
    code = "THROTTLING" if answer.status == 429 else "SDK_CLIENT_ERROR"
    said = answer.body[:256].decode(errors="replace")
    pause = _pause(answer.retry_after, ctx.clock.now()) if again else None
    if pause is not None and pause < timedelta(0):
        again = False
    text = f"The server answered {answer.status}: {said}"
    return Called(Failed(code, text, again, pause or timedelta(0)))


def _pause(text: str, now: datetime) -> timedelta | None:
    """What a server's Retry-After says: seconds (less than none: never again), or a date."""
    try:
        return timedelta(seconds=min(int(text), _PAUSE_SECONDS_MAX))
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(text) - now, timedelta(0))
    except (ValueError, TypeError):
        return None


def _values(given: Mapping[str, str] | None, event: Mapping[str, Any]) -> dict[str, str]:
    return {name: _value(value, event) for name, value in (given or {}).items()}


def _value(value: str, event: Mapping[str, Any]) -> str:
    """A value as it is, or what lies in the event where it is a path."""
    if not value.startswith("$"):
        return value
    try:
        found = at_path(event, value)
    except BadPath:
        return value
    return found if isinstance(found, str) else json.dumps(found)


async def _take_turn(tx: Tx, destination: Destination) -> datetime | None:
    """Count a call against the destination's rate; or when there is room for it.

    A second's worth of calls may be made at once.
    """
    now = tx.context.clock.now()
    each = timedelta(seconds=1) / destination.rate
    pace = await tx.get(Pace, destination.id)
    free_at = now if pace is None else max(now, pace.free_at)
    if free_at - now > timedelta(seconds=1) - each:
        return free_at - timedelta(seconds=1) + each
    tx.put(Pace(destination=destination.id, free_at=free_at + each))
    return None
