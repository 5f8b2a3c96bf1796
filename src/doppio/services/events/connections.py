"""Connections: who we are to a server outside. Their secrets lie in Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader
from doppio.services.events import limits
from doppio.services.events.credentials import MEMBERS, secret_of, shown_auth
from doppio.services.events.errors import (
    ConcurrentModification,
    ResourceAlreadyExists,
    ResourceNotFound,
    Validation,
)
from doppio.services.events.lookup import check_room, page
from doppio.services.events.mending import (
    CHANGING,
    authorised,
    begin,
    deauthorised,
    delete_secret,
    digest_of,
    finish,
)
from doppio.services.events.records import Connection
from doppio.services.events.secrets import as_events, secret_value
from doppio.services.events.tokens import check_server, forget_token
from doppio.wire.errors import AwsError, NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import events as w


class Connections:
    """The operations on connections."""

    async def create_connection(
        self, ctx: Context, req: w.CreateConnectionRequest
    ) -> w.CreateConnectionResponse:
        """Make a connection; one with OAuth is authorized once its server has given a token.

        The row comes first, then the secret, which bears the row's id: what a crash leaves in between is
        found by it (`mending`).
        """
        _check(req)
        kind = req["AuthorizationType"]
        secret = secret_of(kind, cast("Mapping[str, Any]", req["AuthParameters"]), {})
        if kind == "OAUTH_CLIENT_CREDENTIALS":
            check_server(secret["authorization_endpoint"], "AuthorizationEndpoint")
        made = Connection(
            account=ctx.account,
            region=ctx.region,
            name=req["Name"],
            partition=ctx.partition,
            id=ctx.new_id(),
            kind=kind,
            created_at=ctx.now,
            modified_at=ctx.now,
            state="CREATING",
            description=req.get("Description", ""),
            shown=shown_auth(kind, secret),
        )

        async def make(tx: Any) -> None:
            if await tx.get(Connection, made.account, made.region, made.name) is not None:
                raise ResourceAlreadyExists(f"Connection {made.name} already exists.")
            await check_room(tx, Connection, (made.account, made.region), limits.CONNECTIONS_MAX)
            await begin(tx, made)

        await ctx.transact(make)
        try:
            arn = await _create_secret(ctx, made, secret)
        except AwsError:
            await delete_secret(ctx, made)
            await ctx.transact(lambda tx: finish(tx, made, None))
            raise
        done = authorised(replace(made, secret=arn), ctx)
        await ctx.transact(lambda tx: finish(tx, made, done))
        return cast("w.CreateConnectionResponse", _times(done, authorised=False))

    async def update_connection(
        self, ctx: Context, req: w.UpdateConnectionRequest
    ) -> w.UpdateConnectionResponse:
        """Change a connection; what is left out stays."""
        _check(req)
        old = await existing_connection(ctx.read(), ctx.account, ctx.region, req["Name"])
        _check_rests(old)
        kind = req.get("AuthorizationType", old.kind)
        known = await secret_value(ctx, old) if old.secret and kind == old.kind else {}
        auth = cast("Mapping[str, Any]", req.get("AuthParameters") or {})
        secret = secret_of(kind, auth, known)
        if kind == "OAUTH_CLIENT_CREDENTIALS":
            check_server(secret["authorization_endpoint"], "AuthorizationEndpoint")
        text = json.dumps(secret)
        fields = {
            "kind": kind,
            "description": req.get("Description", old.description),
            "shown": shown_auth(kind, secret),
        }
        wanted = {"was": old.state, "digest": digest_of(text), "fields": fields}
        changing = replace(old, state="UPDATING", wanted=wanted)
        await ctx.transact(lambda tx: _turn(tx, old, changing))
        arn = old.secret
        try:
            if old.secret:
                told = {"SecretId": old.secret, "SecretString": text}
                await as_events(ctx, old).call("secretsmanager", "put_secret_value", told)
            else:
                arn = await _create_secret(ctx, old, secret)
        except AwsError:
            if not old.secret:
                await delete_secret(ctx, old)
            await ctx.transact(lambda tx: finish(tx, changing, old))
            raise
        forget_token(ctx, old)
        done = authorised(replace(changing, **fields, secret=arn, modified_at=ctx.now), ctx)
        await ctx.transact(lambda tx: finish(tx, changing, done))
        return cast("w.UpdateConnectionResponse", _times(done))

    async def deauthorize_connection(
        self, ctx: Context, req: w.DeauthorizeConnectionRequest
    ) -> w.DeauthorizeConnectionResponse:
        """Take all that is secret from a connection."""
        old = await existing_connection(ctx.read(), ctx.account, ctx.region, req["Name"])
        _check_rests(old)
        changing = replace(old, state="DEAUTHORIZING", modified_at=ctx.now)
        await ctx.transact(lambda tx: _turn(tx, old, changing))
        await delete_secret(ctx, old)
        forget_token(ctx, old)
        done = deauthorised(changing)
        await ctx.transact(lambda tx: finish(tx, changing, done))
        return cast("w.DeauthorizeConnectionResponse", _times(done))

    async def delete_connection(
        self, ctx: Context, req: w.DeleteConnectionRequest
    ) -> w.DeleteConnectionResponse:
        """Delete a connection and its secret; calls that need it fail from now on."""
        old = await existing_connection(ctx.read(), ctx.account, ctx.region, req["Name"])
        changing = replace(old, state="DELETING", modified_at=ctx.now)
        await ctx.transact(lambda tx: _turn(tx, old, changing))
        await delete_secret(ctx, old)
        forget_token(ctx, old)
        await ctx.transact(lambda tx: finish(tx, changing, None))
        return cast("w.DeleteConnectionResponse", _times(changing))

    async def describe_connection(
        self, ctx: Context, req: w.DescribeConnectionRequest
    ) -> w.DescribeConnectionResponse:
        """A connection, but for what is secret of it."""
        found = await existing_connection(ctx.read(), ctx.account, ctx.region, req["Name"])
        told = {**_listed(found), "AuthParameters": found.shown}
        if found.secret:
            told["SecretArn"] = found.secret
        if found.description:
            told["Description"] = found.description
        return cast("w.DescribeConnectionResponse", told)

    async def list_connections(
        self, ctx: Context, req: w.ListConnectionsRequest
    ) -> w.ListConnectionsResponse:
        """The account's connections in the Region."""
        state = req.get("ConnectionState")
        found, more = await page(
            ctx.read(),
            Connection,
            (ctx.account, ctx.region),
            req,
            wanted=None if state is None else lambda one: one.state == state,
        )
        told = {"Connections": [_listed(one) for one in found], **more}
        return cast("w.ListConnectionsResponse", told)


async def existing_connection(reader: Reader, account: str, region: str, name: str) -> Connection:
    """A connection. Raises ResourceNotFound."""
    found = await reader.get(Connection, account, region, name)
    if found is None:
        raise ResourceNotFound(f"Connection '{name}' does not exist.")
    return found


def _check(req: Mapping[str, Any]) -> None:
    auth = req.get("AuthParameters") or {}
    if req.get("InvocationConnectivityParameters") or auth.get("ConnectivityParameters"):
        raise NotImplementedByDoppio("events: private connections exist in AWS and not yet here")
    if req.get("KmsKeyIdentifier"):
        raise NotImplementedByDoppio(
            "events: connections under customer managed keys exist in AWS and not yet here"
        )
    kind = req.get("AuthorizationType")
    given = [name for name in MEMBERS.values() if name in auth]
    if len(given) > 1 or (kind and given and given != [MEMBERS[kind]]):
        raise Validation("AuthParameters do not go with AuthorizationType.")


async def _create_secret(ctx: Context, made: Connection, secret: Mapping[str, Any]) -> str:
    """As the caller, who needs the right to it; EventBridge may then read it for the connection."""
    asking = ctx.via("events")
    told = await asking.call(
        "secretsmanager",
        "create_secret",
        {
            "Name": f"events!connection/{made.name}/{made.id}",
            "Description": f"Auth parameters for EventBridge connection {made.name}",
            "SecretString": json.dumps(secret),
        },
    )
    arn: str = told["ARN"]
    names = ("GetSecretValue", "PutSecretValue", "DeleteSecret")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": [f"secretsmanager:{name}" for name in names],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceArn": made.arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await ctx.via("events").call(
        "secretsmanager", "put_resource_policy", {"SecretId": arn, "ResourcePolicy": policy}
    )
    return arn


async def _turn(tx: Any, old: Connection, changing: Connection) -> None:
    """Begin a change of what was seen. Raises ConcurrentModification where it is so no more."""
    found = await tx.get(Connection, old.account, old.region, old.name)
    if found != old:
        raise ConcurrentModification(f"Connection {old.name} was changed meanwhile.")
    await begin(tx, changing)


def _check_rests(found: Connection) -> None:
    if found.state in CHANGING:
        raise ConcurrentModification(f"Connection {found.name} is in state {found.state}.")


def _times(found: Connection, *, authorised: bool = True) -> dict[str, Any]:
    told: dict[str, Any] = {
        "ConnectionArn": found.arn,
        "ConnectionState": found.state,
        "CreationTime": found.created_at,
        "LastModifiedTime": found.modified_at,
    }
    if authorised and found.authorised_at is not None:
        told["LastAuthorizedTime"] = found.authorised_at
    return told


def _listed(found: Connection) -> dict[str, Any]:
    told = {**_times(found), "Name": found.name, "AuthorizationType": found.kind}
    if found.reason:
        told["StateReason"] = found.reason
    return told
