"""How the operations find a queue and a message."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.keys import pack, unpack
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.sqs.errors import InvalidAddress, QueueDoesNotExist, ReceiptHandleIsInvalid
from doppio.services.sqs.records import FifoMessage, Message, Queue


def account_and_name(queue_url: str) -> tuple[str, str]:
    """Account and name of any form of queue URL: its last two path parts. Raises InvalidAddress."""
    parts = queue_url.rstrip("/").rsplit("/", 2)
    if len(parts) == 3 and parts[1].isdigit():
        return parts[1], parts[2]
    if "/" not in queue_url and queue_url:
        return "", queue_url
    raise InvalidAddress(f"The address {queue_url} is not valid for this endpoint.")


async def existing(reader: Reader, ctx: Context, queue_url: str) -> Queue:
    """The queue of a URL. Raises QueueDoesNotExist."""
    account, name = account_and_name(queue_url)
    queue = await reader.get(Queue, account or ctx.account, ctx.region, name)
    if queue is None:
        raise QueueDoesNotExist()
    return queue


async def by_arn(reader: Reader, arn: str) -> Queue | None:
    """The queue of an ARN."""
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "sqs":
        return None
    return await reader.get(Queue, parts[4], parts[3], parts[5])


def handle_of(message: Message | FifoMessage) -> str:
    """The receipt handle of a message just received."""
    if isinstance(message, FifoMessage):
        key = pack(message.queue, message.group, message.sequence, message.id, message.receives)
        return page_token(key, "fifo")
    key = pack(message.queue, message.visible_at, message.id, message.receives)
    return page_token(key, "standard")


def standard_handle(handle: str) -> tuple[str, datetime, str, int]:
    """Queue id, visible_at, message id and receipt number. Raises ReceiptHandleIsInvalid."""
    queue, visible_at, message_id, receives = _opened(handle, "standard")
    return queue, visible_at, message_id, receives


def fifo_handle(handle: str) -> tuple[str, str, int, str, int]:
    """Queue id, group, sequence number, message id and receipt number.

    Raises ReceiptHandleIsInvalid.
    """
    queue, group, sequence, message_id, receives = _opened(handle, "fifo")
    return queue, group, sequence, message_id, receives


def _opened(handle: str, scope: str) -> tuple[Any, ...]:
    try:
        return tuple(unpack(token_key(handle, scope)))
    except (BadToken, ValueError) as error:
        raise ReceiptHandleIsInvalid(
            f'The input receipt handle "{handle}" is not a valid receipt handle.'
        ) from error
