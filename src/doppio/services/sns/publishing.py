"""Publishing: a message is checked, numbered in FIFO topics, and handed to the courier."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.services.sns import limits
from doppio.services.sns.archive import archived
from doppio.services.sns.courier import Courier
from doppio.services.sns.errors import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    InvalidParameter,
    ParameterValueInvalid,
    TooManyEntriesInBatchRequest,
)
from doppio.services.sns.lookup import topic_in_use
from doppio.services.sns.measures import PUBLISHED, count_of
from doppio.services.sns.notification import sequence_text
from doppio.services.sns.protection import published
from doppio.services.sns.push import checked_endpoint, push
from doppio.services.sns.records import (
    REMEMBERED_UNTIL,
    Message,
    Sent,
    Sequence,
    Topic,
)
from doppio.services.sns.sealing import may_publish, sealed
from doppio.services.sns.sms import checked_number, send_text
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import sns as w

_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_TOKEN = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_\-.]{1,256}")
_TYPES = frozenset({"String", "Number", "Binary", "String.Array"})
FORGOTTEN_A_PUBLISH = 2


class Publishing:
    """Publish and PublishBatch."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier

    async def publish(self, ctx: Context, req: w.PublishInput) -> w.PublishResponse:
        """Tell a topic's subscribers, an app on a phone, or a phone number."""
        target = req.get("TopicArn") or req.get("TargetArn")
        number = req.get("PhoneNumber")
        if (target is None) == (number is None):
            raise InvalidParameter(
                "TopicArn or TargetArn Reason: no value for required parameter"
                if target is None
                else "PhoneNumber Reason: only one of TopicArn, TargetArn and PhoneNumber may be given"
            )
        if number is not None:
            return await self._to_number(ctx, req, number)
        assert target is not None
        if ":endpoint/" in target:
            message = _message(ctx, target, req, limits.MESSAGE_BYTES_DEFAULT)
            await checked_endpoint(ctx.read(), target)
            await push(ctx, target, message)
            return {"MessageId": message.id}
        name = "TopicArn" if "TopicArn" in req else "TargetArn"
        topic = await topic_in_use(ctx.read(), target, name)
        message = _message(ctx, topic.arn, req, _bytes_max(topic))
        return await self._told(ctx, topic, message)

    async def publish_batch(self, ctx: Context, req: w.PublishBatchInput) -> w.PublishBatchResponse:
        """Publish up to ten messages; each succeeds or fails for itself."""
        entries = req["PublishBatchRequestEntries"]
        _check_batch(entries)
        topic = await topic_in_use(ctx.read(), req["TopicArn"])
        if sum(_size(entry) for entry in entries) > _bytes_max(topic):
            raise BatchRequestTooLong
        successful: list[w.PublishBatchResultEntry] = []
        failed: list[w.BatchResultErrorEntry] = []
        for entry in entries:
            try:
                message = _message(ctx, topic.arn, entry, _bytes_max(topic))
                told = await self._told(ctx, topic, message)
            except AwsError as error:
                failed.append(
                    {
                        "Id": entry["Id"],
                        "Code": error.code,
                        "Message": error.message,
                        "SenderFault": error.status < 500,
                    }
                )
            else:
                successful.append({"Id": entry["Id"], **told})
        return {"Successful": successful, "Failed": failed}

    async def _told(self, ctx: Context, topic: Topic, message: Message) -> w.PublishResponse:
        size = _bytes(message)
        ctx.read().meter("Requests-Tier1", math.ceil(size / limits.BILLED_BYTES) or 1)
        count_of(ctx, PUBLISHED, topic.arn, size)
        await may_publish(ctx, topic)
        if topic.data_protection is not None:
            message = await published(ctx, topic, message)
        if not topic.fifo:
            await self._courier.publish(ctx, topic, message)
            return {"MessageId": message.id}
        return await self._told_in_order(ctx, topic, message)

    async def _told_in_order(
        self, ctx: Context, topic: Topic, message: Message
    ) -> w.PublishResponse:
        """A FIFO topic: what is remembered as sent was sent.

        A crash before that makes the publisher try again; the queues know the message by its
        deduplication id then.
        """
        _check_fifo(topic, message)
        scope = message.group or "" if _by_group(topic) else ""
        key = message.deduplication or hashlib.sha256(message.text.encode()).hexdigest()

        kept = message if topic.archived_since is None else await sealed(ctx, topic, message)

        async def number(tx: Tx) -> Sent | int:
            sent = await tx.get(Sent, topic.arn, scope, key)
            if sent is not None and sent.until > ctx.now:
                return sent
            last = await tx.get(Sequence, topic.arn)
            following = 1 if last is None else last.last + 1
            at = None
            if topic.archived_since is not None:
                at = archived(tx, last, _numbered(kept, following, key))
            tx.put(Sequence(topic=topic.arn, last=following, at=at))
            return following

        found = await ctx.transact(number)
        if isinstance(found, Sent):
            return {
                "MessageId": found.message_id,
                "SequenceNumber": sequence_text(found.sequence),
            }
        numbered = _numbered(message, found, key)
        await self._courier.publish(ctx, topic, numbered)

        async def remember(tx: Tx) -> None:
            for old in await tx.find(
                REMEMBERED_UNTIL, (topic.arn,), until=ctx.now, limit=FORGOTTEN_A_PUBLISH
            ):
                tx.delete(old)
            await tx.get(Sent, topic.arn, scope, key)
            tx.put(
                Sent(
                    topic=topic.arn,
                    scope=scope,
                    deduplication=key,
                    message_id=message.id,
                    sequence=found,
                    until=ctx.now + limits.DEDUPLICATION,
                )
            )

        await ctx.transact(remember)
        return {"MessageId": message.id, "SequenceNumber": sequence_text(found)}

    async def _to_number(self, ctx: Context, req: w.PublishInput, number: str) -> w.PublishResponse:
        checked_number(number, f"PhoneNumber Reason: {number} is not valid to publish to")
        message = _message(ctx, "", req, limits.MESSAGE_BYTES_DEFAULT)
        if len(message.text) > limits.SMS_CHARS_MAX:
            raise InvalidParameter("Message too long")
        await send_text(ctx, (ctx.account, ctx.region), number, message.text, message, direct=True)
        return {"MessageId": message.id}


def _message(ctx: Context, topic: str, req: Mapping[str, Any], bytes_max: int) -> Message:
    """A message as a request brings it, checked."""
    text = req["Message"]
    if not text:
        raise InvalidParameter("Empty message")
    if _size(req) > bytes_max:
        raise InvalidParameter("Message too long")
    subject = req.get("Subject")
    if subject is not None and (
        not subject or len(subject) > limits.SUBJECT_CHARS_MAX or _CONTROL.search(subject)
    ):
        raise InvalidParameter("Subject")
    group = req.get("MessageGroupId")
    for name, given in (
        ("MessageGroupId", group),
        ("MessageDeduplicationId", req.get("MessageDeduplicationId")),
    ):
        if given is not None and _TOKEN.fullmatch(given) is None:
            raise InvalidParameter(
                f"{name} Reason: must be 1 to 128 alphanumeric and punctuation characters"
            )
    if req.get("MessageDeduplicationId") is not None and not topic.endswith(".fifo"):
        raise InvalidParameter(
            "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter "
            "that is not valid for this topic type"
        )
    return Message(
        id=ctx.new_id(),
        topic=topic,
        text=text,
        published_at=ctx.now,
        subject=subject,
        structure=_structure(req),
        attributes=_attributes(req.get("MessageAttributes") or {}),
        group=group,
        deduplication=req.get("MessageDeduplicationId"),
    )


def _structure(req: Mapping[str, Any]) -> dict[str, str] | None:
    structure = req.get("MessageStructure")
    if not structure:
        return None
    if structure != "json":
        raise InvalidParameter("MessageStructure")
    try:
        document = json.loads(req["Message"])
    except ValueError as error:
        raise InvalidParameter("Message Structure - JSON message body failed to parse") from error
    if not isinstance(document, dict):
        raise InvalidParameter("Message Structure - JSON message body failed to parse")
    texts = {name: value for name, value in document.items() if isinstance(value, str)}
    if "default" not in texts:
        raise InvalidParameter("Message Structure - No default entry in JSON message body")
    return texts


def _attributes(given: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    for name, one in given.items():
        kind = one.get("DataType", "")
        base = kind if kind == "String.Array" else kind.partition(".")[0]
        if _ATTRIBUTE_NAME.fullmatch(name) is None or ".." in name:
            raise InvalidParameter(f"MessageAttributes Reason: Invalid attribute name: {name}")
        if base not in _TYPES:
            raise ParameterValueInvalid(
                f"The message attribute '{name}' has an invalid message attribute type, the set "
                "of supported type prefixes is Binary, Number, and String."
            )
        field = "BinaryValue" if base == "Binary" else "StringValue"
        if not one.get(field):
            raise ParameterValueInvalid(
                f"The message attribute '{name}' must contain non-empty message attribute value "
                f"for message attribute type '{kind}'."
            )
        if base == "Number":
            try:
                float(one[field])
            except ValueError as error:
                raise ParameterValueInvalid(
                    f"Could not cast message attribute '{name}' value to number."
                ) from error
    return {name: dict(one) for name, one in given.items()}


def _check_batch(entries: Any) -> None:
    if not entries:
        raise EmptyBatchRequest
    if len(entries) > limits.BATCH_ENTRIES_MAX:
        raise TooManyEntriesInBatchRequest
    ids = [entry["Id"] for entry in entries]
    if any(_ENTRY_ID.fullmatch(one) is None for one in ids):
        raise InvalidBatchEntryId
    if len(set(ids)) != len(ids):
        raise BatchEntryIdsNotDistinct


def _check_fifo(topic: Topic, message: Message) -> None:
    if message.group is None:
        raise InvalidParameter("The MessageGroupId parameter is required for FIFO topics")
    by_content = topic.attributes.get("ContentBasedDeduplication", "").lower() == "true"
    if message.deduplication is None and not by_content:
        raise InvalidParameter(
            "The topic should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly"
        )


def _by_group(topic: Topic) -> bool:
    return topic.attributes.get("FifoThroughputScope") == "MessageGroup"


def _numbered(message: Message, sequence: int, deduplication: str) -> Message:
    return replace(message, sequence=sequence, deduplication=deduplication)


def _bytes_max(topic: Topic) -> int:
    return int(topic.attributes.get("MaximumMessageSize", limits.MESSAGE_BYTES_DEFAULT))


def _bytes(message: Message) -> int:
    return _size({"Message": message.text, "MessageAttributes": message.attributes})


def _size(req: Mapping[str, Any]) -> int:
    """The bytes of a message as SNS counts them: text and attributes."""
    text: str = req["Message"]
    size = len(text) if text.isascii() else len(text.encode())
    attributes: Mapping[str, Mapping[str, Any]] = req.get("MessageAttributes") or {}
    for name, one in attributes.items():
        value = one.get("BinaryValue") or one.get("StringValue", "").encode()
        size += len(name.encode()) + len(one.get("DataType", "")) + len(value)
    return size
