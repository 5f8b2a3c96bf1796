"""SQS queues: their life, attributes, permissions and tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.authorise import (
    check_policy_document,
    forget_resource,
    put_resource,
    resource_policy,
)
from doppio.kernel.context import Context, Reader, Tx, index_row_key, row_key
from doppio.kernel.paging import BadToken, page_token, token_key
from doppio.services.sqs import limits
from doppio.services.sqs.access import by_arn, existing
from doppio.services.sqs.attributes import (
    bad_redrive,
    known_names,
    may_redrive,
    to_wire,
    with_attributes,
)
from doppio.services.sqs.counting import hidden, total
from doppio.services.sqs.errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValue,
    OverLimit,
    PurgeQueueInProgress,
    QueueDeletedRecently,
    QueueDoesNotExist,
    QueueNameExists,
)
from doppio.services.sqs.move_tasks import forget_tasks
from doppio.services.sqs.records import BY_DEAD_LETTER, DELETED_AT, Deleted, Queue
from doppio.services.sqs.rules import check_accounts, check_actions, queue_name_ok
from doppio.services.sqs.upkeep import DELAY, EMPTY, EXPIRE, expire, sweep_interval

if TYPE_CHECKING:
    from doppio._stubs.sqs import (
        AddPermissionRequest,
        CreateQueueRequest,
        CreateQueueResult,
        DeleteQueueRequest,
        GetQueueAttributesRequest,
        GetQueueAttributesResult,
        GetQueueUrlRequest,
        GetQueueUrlResult,
        ListDeadLetterSourceQueuesRequest,
        ListDeadLetterSourceQueuesResult,
        ListQueuesRequest,
        ListQueuesResult,
        ListQueueTagsRequest,
        ListQueueTagsResult,
        PurgeQueueRequest,
        RemovePermissionRequest,
        SetQueueAttributesRequest,
        TagQueueRequest,
        UntagQueueRequest,
    )

_COUNTS = {
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
}

FORGOTTEN_A_DELETE = 2


class Queues:
    """The queue operations."""

    async def create_queue(self, ctx: Context, req: CreateQueueRequest) -> CreateQueueResult:
        """Create a queue; the same name with the same attributes again is no error."""
        name, attributes = req["QueueName"], dict(req.get("Attributes", {}))
        fifo = attributes.get("FifoQueue") == "true"
        if not queue_name_ok(name, fifo=fifo):
            raise InvalidParameterValue(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or "
                "underscores, must end with .fifo suffix and be 1 to 80 in length."
                if fifo
                else "Can only include alphanumeric characters, hyphens, or underscores. "
                "1 to 80 in length"
            )
        async with ctx.write() as tx:
            blank = Queue(
                account=ctx.account, region=ctx.region, name=name, id=ctx.new_id("url32"),
                created_at=ctx.now, modified_at=ctx.now, fifo=fifo, tags=_tags(req.get("tags", {})),
            )  # fmt: skip
            queue = with_attributes(blank, attributes)
            policy = attributes.get("Policy") or None
            old = await tx.get(Queue, ctx.account, ctx.region, name)
            if old is not None:
                await _same(tx, old, queue, attributes, policy)
                return {"QueueUrl": url(ctx, old)}
            deleted = await tx.get(Deleted, ctx.account, ctx.region, name)
            if deleted is not None and ctx.now - deleted.at < limits.DELETED_RECENTLY:
                raise QueueDeletedRecently()
            await _check_redrive(tx, queue)
            tx.put(queue)
            await _put_policy(tx, queue, policy)
            await tx.schedule(ctx.now + sweep_interval(queue), EXPIRE, queue.arn)
            tx.meter("Requests-Tier1")
        return {"QueueUrl": url(ctx, queue)}

    async def get_queue_url(self, ctx: Context, req: GetQueueUrlRequest) -> GetQueueUrlResult:
        """The URL of a queue by its name."""
        account = req.get("QueueOwnerAWSAccountId") or ctx.account
        queue = await ctx.read().get(Queue, account, ctx.region, req["QueueName"])
        if queue is None:
            raise QueueDoesNotExist()
        return {"QueueUrl": url(ctx, queue)}

    async def list_queues(self, ctx: Context, req: ListQueuesRequest) -> ListQueuesResult:
        """Queue URLs in the order of names, by prefix and page."""
        prefix = req.get("QueueNamePrefix", "")
        most = _most(req)
        after = _position(req.get("NextToken"), f"queues/{prefix}")
        found = await ctx.read().list(
            Queue, (ctx.account, ctx.region), since=prefix, after=after, limit=most + 1
        )
        page = [queue for queue in found if queue.name.startswith(prefix)]
        shown: dict[str, Any] = {"QueueUrls": [url(ctx, queue) for queue in page[:most]]}
        # Without MaxResults there are no pages: AWS gives at most 1,000 and no token.
        if len(page) > most and "MaxResults" in req:
            shown["NextToken"] = page_token(row_key(page[most - 1]), f"queues/{prefix}")
        return shown if page else {}  # type: ignore[return-value]

    async def delete_queue(self, ctx: Context, req: DeleteQueueRequest) -> None:
        """Delete a queue; its messages are gone at once and cleared away in the background."""
        async with ctx.write() as tx:
            queue = await existing(tx, ctx, req["QueueUrl"])
            tx.delete(queue)
            await _remember_deleted(tx, queue, ctx.now)
            forget_resource(tx, queue.arn)
            await tx.unschedule(EXPIRE, queue.arn)
            await tx.schedule(ctx.now, EMPTY, queue.id, fifo=queue.fifo)
            await forget_tasks(tx, queue)
            tx.wake(queue.topic)

    async def purge_queue(self, ctx: Context, req: PurgeQueueRequest) -> None:
        """Forget all messages; once a minute."""
        async with ctx.write() as tx:
            queue = await existing(tx, ctx, req["QueueUrl"])
            if queue.purged_at is not None and ctx.now - queue.purged_at < limits.PURGE_INTERVAL:
                raise PurgeQueueInProgress(
                    f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds."
                )
            tx.put(replace(queue, id=ctx.new_id("url32"), purged_at=ctx.now))
            await tx.schedule(ctx.now, EMPTY, queue.id, fifo=queue.fifo)
            tx.wake(queue.topic)

    async def get_queue_attributes(
        self, ctx: Context, req: GetQueueAttributesRequest
    ) -> GetQueueAttributesResult:
        """The attributes that are asked for; counts are exact when the queue is at rest."""
        wanted = set(req.get("AttributeNames", ()))
        reader = ctx.read()
        queue = await existing(reader, ctx, req["QueueUrl"])
        if not wanted:
            return {}
        unknown = sorted(wanted - known_names())
        if unknown:
            raise InvalidAttributeName(f"Unknown Attribute {unknown[0]}.")
        shown = to_wire(queue)
        if wanted & {"All", "Policy"}:
            policy = await resource_policy(reader, queue.arn)
            if policy is not None:
                shown["Policy"] = policy
        if wanted & {"All", *_COUNTS}:
            await expire(ctx, queue)
            shown.update(await _counts(ctx.read(), ctx, queue))
        reader.meter("Requests-Tier1")
        if "All" not in wanted:
            shown = {name: value for name, value in shown.items() if name in wanted}
        return {"Attributes": shown} if shown else {}

    async def set_queue_attributes(self, ctx: Context, req: SetQueueAttributesRequest) -> None:
        """Change attributes; the whole request or nothing of it."""
        attributes = req["Attributes"]
        async with ctx.write() as tx:
            queue = await existing(tx, ctx, req["QueueUrl"])
            changed = replace(with_attributes(queue, attributes), modified_at=ctx.now)
            await _check_redrive(tx, changed)
            tx.put(changed)
            if "Policy" in attributes:
                await _put_policy(tx, queue, attributes["Policy"] or None)
            if changed.retention != queue.retention:
                await tx.schedule(ctx.now, EXPIRE, queue.arn)
            if queue.fifo and changed.delay != queue.delay:
                await tx.schedule(ctx.now, DELAY, queue.arn)
            tx.wake(queue.topic)

    async def add_permission(self, ctx: Context, req: AddPermissionRequest) -> None:
        """Add a statement, named by its label, to the queue's policy."""
        async with ctx.write() as tx:
            queue = await existing(tx, ctx, req["QueueUrl"])
            policy = _document(await resource_policy(tx, queue.arn), queue)
            if any(statement.get("Sid") == req["Label"] for statement in policy["Statement"]):
                raise InvalidParameterValue(
                    f"Value {req['Label']} for parameter Label is invalid. Reason: Already exists."
                )
            check_accounts(req["AWSAccountIds"])
            check_actions(req["Actions"])
            if len(req["Actions"]) > limits.PERMISSION_ACTIONS_MAX:
                raise OverLimit(
                    f"{len(req['Actions'])} Actions were found, maximum allowed is "
                    f"{limits.PERMISSION_ACTIONS_MAX}."
                )
            if len(policy["Statement"]) >= limits.POLICY_STATEMENTS_MAX:
                raise OverLimit(
                    f"{len(policy['Statement']) + 1} policy statements were found, maximum allowed "
                    f"is {limits.POLICY_STATEMENTS_MAX}."
                )
            principals = [
                f"arn:{ctx.partition}:iam::{account}:root" for account in req["AWSAccountIds"]
            ]
            actions = [f"SQS:{action}" for action in req["Actions"]]
            policy["Statement"].append(
                {
                    "Sid": req["Label"],
                    "Effect": "Allow",
                    "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
                    "Action": actions[0] if len(actions) == 1 else actions,
                    "Resource": queue.arn,
                }
            )
            await _put_policy(tx, queue, json.dumps(policy))

    async def remove_permission(self, ctx: Context, req: RemovePermissionRequest) -> None:
        """Take the statement of this label out of the queue's policy."""
        async with ctx.write() as tx:
            queue = await existing(tx, ctx, req["QueueUrl"])
            policy = _document(await resource_policy(tx, queue.arn), queue)
            kept = [one for one in policy["Statement"] if one.get("Sid") != req["Label"]]
            if len(kept) == len(policy["Statement"]):
                raise InvalidParameterValue(
                    f"Value {req['Label']} for parameter Label is invalid. "
                    "Reason: can't find label on existing policy."
                )
            policy["Statement"] = kept
            await _put_policy(tx, queue, json.dumps(policy) if kept else None)

    async def list_dead_letter_source_queues(
        self, ctx: Context, req: ListDeadLetterSourceQueuesRequest
    ) -> ListDeadLetterSourceQueuesResult:
        """The queues that send their dead letters to this one."""
        reader = ctx.read()
        queue = await existing(reader, ctx, req["QueueUrl"])
        most = _most(req)
        after = _position(req.get("NextToken"), queue.arn)
        found = await reader.find(BY_DEAD_LETTER, (queue.arn,), after=after, limit=most + 1)
        shown: dict[str, Any] = {"queueUrls": [url(ctx, source) for source in found[:most]]}
        if len(found) > most and "MaxResults" in req:
            position = index_row_key(BY_DEAD_LETTER, found[most - 1])
            shown["NextToken"] = page_token(position, queue.arn)
        return shown  # type: ignore[return-value]

    async def tag_queue(self, ctx: Context, req: TagQueueRequest) -> None:
        """Put tags on a queue, over those of the same keys."""
        async with ctx.write() as tx:
            queue = await existing(tx, ctx, req["QueueUrl"])
            tx.put(replace(queue, tags=_tags(req["Tags"], queue.tags)))

    async def untag_queue(self, ctx: Context, req: UntagQueueRequest) -> None:
        """Take tags off a queue."""
        async with ctx.write() as tx:
            queue = await existing(tx, ctx, req["QueueUrl"])
            tx.put(replace(queue, tags=tags.without(queue.tags, req["TagKeys"])))

    async def list_queue_tags(self, ctx: Context, req: ListQueueTagsRequest) -> ListQueueTagsResult:
        """The tags of a queue."""
        queue = await existing(ctx.read(), ctx, req["QueueUrl"])
        return {"Tags": dict(queue.tags)} if queue.tags else {}


def url(ctx: Context, queue: Queue) -> str:
    """The queue's URL at this cloud's endpoint."""
    return f"{ctx.kernel.endpoint}/{queue.account}/{queue.name}"


async def _counts(reader: Reader, ctx: Context, queue: Queue) -> dict[str, str]:
    in_flight, delayed = await hidden(reader, queue, ctx.clock.now())
    waiting = max(0, await total(reader, queue) - in_flight - delayed)
    return {
        "ApproximateNumberOfMessages": str(waiting),
        "ApproximateNumberOfMessagesNotVisible": str(in_flight),
        "ApproximateNumberOfMessagesDelayed": str(delayed),
    }


async def _same(
    tx: Tx, old: Queue, new: Queue, attributes: Mapping[str, str], policy: str | None
) -> None:
    """Creating a queue again is an error only if it asks for something else."""
    was = to_wire(old)
    wanted = to_wire(new)
    for name in attributes:
        if name == "Policy":
            same = await resource_policy(tx, old.arn) == policy
        else:
            same = was.get(name) == wanted.get(name)
        if not same:
            raise QueueNameExists(
                "A queue already exists with the same name and a different value for attribute "
                f"{name}"
            )


async def _remember_deleted(tx: Tx, queue: Queue, now: datetime) -> None:
    """Keep the name for its minute; names that have had theirs are forgotten by the way."""
    where = (queue.account, queue.region)
    over = now - limits.DELETED_RECENTLY
    for old in await tx.find(DELETED_AT, where, until=over, limit=FORGOTTEN_A_DELETE):
        tx.delete(old)
    await tx.get(Deleted, *where, queue.name)
    tx.put(Deleted(account=queue.account, region=queue.region, name=queue.name, at=now))


async def _check_redrive(tx: Tx, queue: Queue) -> None:
    if queue.redrive is None:
        return
    target = await by_arn(tx, queue.redrive.arn)
    region, account = queue.redrive.arn.split(":")[3:5]
    why = ""
    if account != queue.account:
        why = "Dead letter target owner should be same as the source."
    elif region != queue.region:
        why = "Dead-letter queue must be in same region as the source."
    elif target is None:
        why = "Dead letter target does not exist."
    elif target.fifo != queue.fifo:
        why = "Dead-letter queue must be same type of queue as the source."
    elif not may_redrive(target, queue.arn):
        why = "Permission to use the dead-letter queue is denied by its redrive allow policy."
    if why:
        raise bad_redrive(to_wire(queue)["RedrivePolicy"], why)


async def _put_policy(tx: Tx, queue: Queue, document: str | None) -> None:
    if document is not None:
        try:
            check_policy_document(document, needs_principal=True, partition=tx.context.partition)
        except ValueError as error:
            raise InvalidAttributeValue("Invalid value for the parameter Policy.") from error
    put_resource(tx, queue.arn, queue.account, document)


def _document(document: str | None, queue: Queue) -> dict[str, Any]:
    if document is None:
        return {"Version": "2012-10-17", "Id": f"{queue.arn}/SQSDefaultPolicy", "Statement": []}
    policy: dict[str, Any] = json.loads(document)
    if isinstance(policy["Statement"], dict):
        policy["Statement"] = [policy["Statement"]]
    return policy


def _most(req: Mapping[str, Any]) -> int:
    most: int = req.get("MaxResults", limits.LIST_COUNT_MAX)
    if not 1 <= most <= limits.LIST_COUNT_MAX:
        raise InvalidParameterValue(
            "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer "
            f"between 1 and {limits.LIST_COUNT_MAX}."
        )
    return most


def _position(token: str | None, scope: str) -> bytes | None:
    if token is None:
        return None
    try:
        return token_key(token, scope)
    except BadToken as error:
        raise InvalidParameterValue("Invalid or expired next token.") from error


def _tags(new: Mapping[str, str], old: Mapping[str, str] | None = None) -> dict[str, str]:
    try:
        return tags.merged(old or {}, new)
    except tags.BadTags as error:
        raise InvalidParameterValue(str(error)) from error
