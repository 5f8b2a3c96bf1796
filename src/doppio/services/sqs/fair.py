"""Fair queues: on a standard queue, a noisy group does not make the others wait.

A group is noisy while far more of its messages are in flight than its share. The others' messages
are handed out before its own then; nobody is throttled, and with nothing else to do the consumers
get the noisy group's. Where nothing waits that has a MessageGroupId nothing of this is done.

Source: "Amazon SQS fair queues". AWS does not say where its threshold is; ours is in `limits`.
`Waiting` is a hint where a group's messages stand: one that leads nowhere is dropped when met.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.keys import pack
from doppio.kernel.records import table_of
from doppio.services.sqs import limits
from doppio.services.sqs.records import Message, Queue, Waiting

_MOMENT = timedelta(microseconds=1)


def stands(tx: Tx, message: Message) -> None:
    """Remember where a message with a group stands."""
    if message.body.group is not None:
        tx.add(_hint(message, message.body.group))


def stands_no_more(tx: Tx, message: Message) -> None:
    """Forget it, before the message moves or goes."""
    if message.body.group is not None:
        tx.delete(_hint(message, message.body.group))


def _hint(message: Message, group: str) -> Waiting:
    return Waiting(queue=message.queue, group=group, visible_at=message.visible_at, id=message.id)


async def chosen(
    ctx: Context, tx: Tx, queue: Queue, now: datetime, due: list[Message], count: int
) -> list[Message]:
    """The messages to hand out: those that are due first, or those of quiet groups before them."""
    # Of what is durable: who had read all this in its transaction would lose every race.
    reader = ctx.read()
    heads = await _heads(reader, queue, now, due[0].body.group or "")
    noisy = await _noisy(reader, queue, now, {head.group for head in heads})
    if not any(message.body.group in noisy for message in due):
        return due
    first = [message for message in due if message.body.group not in noisy]
    found: list[Waiting] = []
    for head in heads:
        if head.group not in noisy:
            found += await reader.list(Waiting, (queue.id, head.group), until=now, limit=count)
    known = {message.id for message in first}
    for hint in sorted(found, key=lambda one: (one.visible_at, one.id)):
        if len(first) >= count:
            break
        message = await tx.get(Message, queue.id, hint.visible_at, hint.id)
        if message is None:
            tx.delete(hint)
        elif message.id not in known:
            known.add(message.id)
            first.append(message)
    rest = [message for message in due if message.body.group in noisy]
    return [*first, *rest][:count]


async def _heads(reader: Reader, queue: Queue, now: datetime, begin: str) -> Sequence[Waiting]:
    """The first waiting message of some groups, from a group on and around."""
    table = table_of(Waiting)
    heads: dict[str, Waiting] = {}
    start = after = table.prefix + pack(queue.id, begin)
    around = False
    for _ in range(limits.GROUPS_LOOKED_AT_MAX):
        found = await reader.list(Waiting, (queue.id,), after=after, limit=1)
        if not found and not around:
            around, after = True, table.prefix + pack(queue.id)
            continue
        if not found or (around and table.key(found[0]) >= start):
            break
        if found[0].visible_at <= now:
            heads[found[0].group] = found[0]
        # 0xff ends all keys of the group.
        after = table.prefix + pack(queue.id, found[0].group) + b"\xff"
    return list(heads.values())


async def _noisy(reader: Reader, queue: Queue, now: datetime, waiting: set[str]) -> set[str]:
    hidden = await reader.list(
        Message, (queue.id,), since=now + _MOMENT, limit=limits.IN_FLIGHT_LOOKED_AT_MAX
    )
    in_flight = Counter(
        message.body.group
        for message in hidden
        if message.receives > 0 and message.body.group is not None
    )
    groups = len(waiting | set(in_flight))
    share = sum(in_flight.values()) / (groups or 1)
    most = max(limits.NOISY_IN_FLIGHT_MIN, limits.NOISY_SHARES * share)
    return {group for group, taken in in_flight.items() if taken >= most and groups > 1}
