"""OAuth tokens of connections: fetched from their servers, and remembered until they expire.

Memory is only a hint: a token that is forgotten, or that a server takes no more, is fetched anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.jobs import Job
from doppio.services.events import limits
from doppio.services.events.credentials import token_request
from doppio.services.events.errors import Validation
from doppio.services.events.records import Connection
from doppio.services.events.secrets import secret_value
from doppio.wire.errors import AwsError

AUTHORISE = "events.authorise"
# A token that says nothing of its end is asked for anew after so long.
LIFE_DEFAULT = timedelta(minutes=5)

_known: WeakKeyDictionary[Any, dict[str, tuple[str, datetime]]] = WeakKeyDictionary()


class NoToken(Exception):
    """The server gave no token; the text says why."""


def check_server(url: str, name: str) -> None:
    """Raise Validation for what is no address of a server."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Validation(f"Parameter {name} is not valid. Reason: it must be an HTTPS URL.")


def forget_token(ctx: Context, connection: Connection) -> None:
    """Ask for a new token next time."""
    _known.get(ctx.kernel, {}).pop(connection.id, None)


async def token_of(ctx: Context, connection: Connection, secret: Mapping[str, Any]) -> str:
    """A token that counts now. Raises NoToken."""
    tokens = _known.setdefault(ctx.kernel, {})
    found = tokens.get(connection.id)
    now = ctx.clock.now()
    if found is not None and now < found[1]:
        return found[0]
    token, life = await _fetched(ctx, secret)
    tokens[connection.id] = token, now + life
    return token


async def _fetched(ctx: Context, secret: Mapping[str, Any]) -> tuple[str, timedelta]:
    method, url, headers, body = token_request(secret)
    answer = await ctx.machine.http.send(
        method, url, headers=headers, body=body, seconds_max=limits.AUTHORISATION_SECONDS_MAX
    )
    if not answer.ok:
        raise NoToken(
            f"The authorization endpoint answered {answer.status or answer.error} for the request."
        )
    try:
        told = json.loads(answer.body)
        token = told["access_token"]
        life = timedelta(seconds=float(told.get("expires_in") or 0)) or LIFE_DEFAULT
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise NoToken("The authorization endpoint's answer has no access_token.") from error
    return str(token), life


async def authorise(ctx: Context, job: Job) -> None:
    """Ask a connection's server for a token, to see whether it gives one."""
    where = job.arguments
    key = (where["account"], where["region"], where["connection"])
    seen = await ctx.read().get(Connection, *key)
    if seen is None or seen.id != job.key or seen.state != "AUTHORIZING":
        return
    reason = ""
    try:
        await token_of(ctx, seen, await secret_value(ctx, seen))
    except (NoToken, AwsError) as error:
        reason = str(error)

    async def tell(tx: Tx) -> None:
        found = await tx.get(Connection, *key)
        if found != seen:
            return
        state = "DEAUTHORIZED" if reason else "AUTHORIZED"
        at = found.authorised_at if reason else ctx.clock.now()
        tx.put(replace(found, state=state, reason=reason[:512], authorised_at=at))

    await ctx.transact(tell)
