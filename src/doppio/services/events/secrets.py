"""What EventBridge reads from the secrets of connections."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.context import Context
from doppio.services.events.records import Connection


def as_events(ctx: Context, connection: Connection) -> Context:
    """EventBridge, on behalf of a connection."""
    acting = ctx.as_service("events", source=connection.arn)
    return acting.derive(acting.caller, region=connection.region)


async def secret_value(ctx: Context, connection: Connection) -> dict[str, Any]:
    """What is secret of a connection, as EventBridge reads it."""
    found: dict[str, Any] = json.loads(await secret_text(ctx, connection))
    return found


async def secret_text(ctx: Context, connection: Connection) -> str:
    """The text of a connection's secret."""
    told = await as_events(ctx, connection).call(
        "secretsmanager", "get_secret_value", {"SecretId": connection.secret}
    )
    text: str = told["SecretString"]
    return text
