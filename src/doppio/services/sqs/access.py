"""How the operations find a queue and a message."""

from __future__ import annotations

from functools import lru_cache

from doppio.kernel.context import Context, Reader
from doppio.kernel.keys import ZERO, pack, unpack
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.kernel.records import table_of
from doppio.services.sqs.errors import InvalidAddress, QueueDoesNotExist, ReceiptHandleIsInvalid
from doppio.services.sqs.records import FifoMessage, Message, Queue

_QUEUES = table_of(Queue)
_MESSAGES = table_of(Message)
# The same few queues are named again and again.
REMEMBERED_MAX = 4_096


@lru_cache(REMEMBERED_MAX)
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


async def in_use(reader: Reader, ctx: Context, queue_url: str) -> Queue:
    """The same for who only uses the queue and does not change it. Raises QueueDoesNotExist."""
    row = await reader.raw.get(_queue_key(ctx.account, ctx.region, queue_url))
    if row is None:
        raise QueueDoesNotExist()
    return _QUEUES.decode_known(row)


@lru_cache(REMEMBERED_MAX)
def _queue_key(caller: str, region: str, queue_url: str) -> bytes:
    """The row of the queue that an account's caller names. Raises InvalidAddress."""
    account, name = account_and_name(queue_url)
    return _QUEUES.key_of((account or caller, region, name))


@lru_cache(REMEMBERED_MAX)
def line_of(queue_id: str) -> bytes:
    """What the row keys of a standard queue's messages begin with."""
    return _MESSAGES.prefix + pack(queue_id)


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
    return handle_at(_MESSAGES.key(message), message.receives)


def handle_at(row: bytes, receives: int) -> str:
    """The receipt handle of a standard message with this row key: it names the row."""
    return page_token(pack(receives) + row[len(_MESSAGES.prefix) :], "standard")


def standard_handle(handle: str) -> tuple[bytes, int]:
    """Row key and receipt number. Raises ReceiptHandleIsInvalid."""
    key = _key_in(handle, "standard")
    # An integer is a byte that tells its length, then itself.
    size = key[0] - ZERO if key else -1
    if not 0 <= size <= 8:
        raise _invalid(handle)
    size += 1
    return _MESSAGES.prefix + key[size:], int.from_bytes(key[1:size], "big")


def message_id_in(row: bytes, handle: str) -> str:
    """The id of the message with the row key of a handle. Raises ReceiptHandleIsInvalid."""
    try:
        found: str = unpack(row)[-1]
    except ValueError as error:
        raise _invalid(handle) from error
    return found


def fifo_handle(handle: str) -> tuple[str, str, int, str, int]:
    """Queue id, group, sequence number, message id and receipt number.

    Raises ReceiptHandleIsInvalid.
    """
    try:
        queue, group, sequence, message_id, receives = unpack(_key_in(handle, "fifo"))
    except ValueError as error:
        raise _invalid(handle) from error
    return queue, group, sequence, message_id, receives


def _key_in(handle: str, scope: str) -> bytes:
    try:
        return token_key(handle, scope)
    except BadToken as error:
        raise _invalid(handle) from error


def _invalid(handle: str) -> ReceiptHandleIsInvalid:
    return ReceiptHandleIsInvalid(
        f'The input receipt handle "{handle}" is not a valid receipt handle.'
    )
