"""Connections that a crash has left half changed: a job brings each to an end.

What is secret of a connection lies with another service, so a change takes several commits. The first
says in the connection's state what is under way and sets the job; the last forgets it. Half a creation
or a deletion is undone or done: the secret goes, and the connection with it. Half an update counts if
the new secret is there, which its digest tells.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import root_of
from doppio.kernel.jobs import Job
from doppio.services.events.errors import ConcurrentModification
from doppio.services.events.records import Connection
from doppio.services.events.secrets import as_events, secret_text
from doppio.services.events.tokens import AUTHORISE, forget_token
from doppio.wire.errors import AwsError

MEND = "events.mend"
# By then an operation has ended, one way or the other.
_PATIENCE = timedelta(minutes=2)
CHANGING = frozenset({"CREATING", "UPDATING", "DELETING", "DEAUTHORIZING"})
_NOT_THERE = frozenset({"ResourceNotFoundException", "AccessDeniedException"})


def digest_of(secret: str) -> str:
    """What tells a secret's text from another without telling it."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def begin(tx: Tx, changing: Connection) -> None:
    """Say in a connection's state what is under way, and see to it that it ends."""
    tx.put(changing)
    where = {
        "account": changing.account,
        "region": changing.region,
        "connection": changing.name,
    }
    await tx.schedule(tx.context.clock.now() + _PATIENCE, MEND, changing.id, **where)


async def finish(tx: Tx, changing: Connection, done: Connection | None) -> None:
    """Keep what has become of a connection (None: it is gone), and forget the job.

    Raises ConcurrentModification where the job has been faster.
    """
    found = await tx.get(Connection, changing.account, changing.region, changing.name)
    if found != changing:
        raise ConcurrentModification(f"Connection {changing.name} was changed meanwhile.")
    await tx.unschedule(MEND, changing.id)
    if done is None:
        tx.delete(found)
        return
    tx.put(done)
    if done.state == "AUTHORIZING":
        where = {"account": done.account, "region": done.region, "connection": done.name}
        await tx.schedule(tx.context.clock.now(), AUTHORISE, done.id, **where)


async def mend(ctx: Context, job: Job) -> None:
    """End what an operation has left under way."""
    where = job.arguments
    key = (where["account"], where["region"], where["connection"])
    found = await ctx.read().get(Connection, *key)
    if found is None or found.id != job.key or found.state not in CHANGING:
        return
    forget_token(ctx, found)
    done: Connection | None = None
    if found.state == "UPDATING":
        done = await _updated(ctx, found)
    else:
        await delete_secret(ctx, found)
        if found.state == "DEAUTHORIZING":
            done = deauthorised(found)
    try:
        await ctx.transact(lambda tx: finish(tx, found, done))
    except ConcurrentModification:
        # Its operation was only slow: it has ended by itself.
        return


async def _updated(ctx: Context, found: Connection) -> Connection:
    """A connection as it was, or as it was to be where its new secret is there already."""
    wanted: dict[str, Any] = found.wanted or {}
    before = replace(found, state=wanted["was"], wanted=None)
    if not found.secret:
        await delete_secret(ctx, found)
        return before
    if digest_of(await secret_text(ctx, found)) != wanted["digest"]:
        return before
    return authorised(replace(found, **wanted["fields"], modified_at=ctx.clock.now()), ctx)


def authorised(made: Connection, ctx: Context) -> Connection:
    """The connection with its secret; with OAuth its server is asked for a token first."""
    oauth = made.kind == "OAUTH_CLIENT_CREDENTIALS"
    return replace(
        made,
        state="AUTHORIZING" if oauth else "AUTHORIZED",
        reason="",
        wanted=None,
        authorised_at=made.authorised_at if oauth else ctx.clock.now(),
    )


def deauthorised(found: Connection) -> Connection:
    """The connection without anything secret."""
    return replace(found, state="DEAUTHORIZED", secret="")


async def delete_secret(ctx: Context, old: Connection) -> None:
    """Delete a connection's secret, if there is one.

    Where a crash came before its policy, EventBridge may not: so it does as the account, whose
    secret it has made, as AWS's service-linked role does.
    """
    name = old.secret or f"events!connection/{old.name}/{old.id}"
    req = {"SecretId": name, "ForceDeleteWithoutRecovery": True}
    owner = ctx.derive(root_of(old.account, partition=ctx.partition), region=old.region)
    for acting in (as_events(ctx, old), owner):
        try:
            await acting.call("secretsmanager", "delete_secret", req)
            return
        except AwsError as error:
            if error.code not in _NOT_THERE:
                raise
