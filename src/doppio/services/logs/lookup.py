"""Which group and stream are meant, and what the caller is told where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.services.logs.errors import InvalidParameter, NoGroup, NoStream
from doppio.services.logs.records import Group, Stream


def milliseconds(moment: datetime) -> int:
    """A time as CloudWatch Logs writes it."""
    return int(moment.timestamp() * 1_000)


def group_name(ctx: Context, req: Mapping[str, Any]) -> str:
    """The name of the group of a request, which may name it by an ARN."""
    given, identifier = req.get("logGroupName"), req.get("logGroupIdentifier")
    if given and identifier:
        raise InvalidParameter("LogGroupName and LogGroupIdentifier cannot both be set.")
    if not given and not identifier:
        raise InvalidParameter("Either logGroupName or logGroupIdentifier must be specified.")
    return given or name_of(ctx, str(identifier))


def name_of(ctx: Context, identifier: str) -> str:
    """The name in a group's ARN, or the name itself. Raises NoGroup for what lies elsewhere."""
    if not identifier.startswith("arn:"):
        return identifier
    parts = identifier.split(":")
    if len(parts) < 7 or parts[2] != "logs" or parts[5] != "log-group":
        raise InvalidParameter("Invalid logGroupIdentifier.")
    if (parts[3], parts[4]) != (ctx.region, ctx.account):
        raise NoGroup
    return parts[6]


async def existing(reader: Reader, name: str) -> Group:
    """The caller's group of this name. Raises NoGroup."""
    ctx = reader.context
    group = await reader.get(Group, ctx.account, ctx.region, name)
    if group is None:
        raise NoGroup
    return group


async def existing_stream(reader: Reader, group: Group, name: str) -> Stream:
    """The group's stream of this name. Raises NoStream."""
    stream = await reader.get(Stream, group.id, name)
    if stream is None:
        raise NoStream
    return stream
