"""How one message reaches one subscriber, by protocol. Each way says what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from doppio.kernel.context import Context, Tx
from doppio.kernel.identity import service_caller
from doppio.services.sns import limits
from doppio.services.sns.attributes import PLAIN_TEXT, delivery_policy_of
from doppio.services.sns.measures import DELIVERED, count_of
from doppio.services.sns.notification import (
    as_json,
    envelope,
    subscribe_url,
    text_for,
    unsubscribe_url,
)
from doppio.services.sns.push import push, token_of
from doppio.services.sns.records import Mail, Message, Subscription, Topic
from doppio.services.sns.signing import Signer
from doppio.services.sns.sms import send_text
from doppio.services.sns.statuses import NAMES, dwell, logs_with, report
from doppio.services.sqs.ports import url_of
from doppio.wire.errors import AccessDenied, AwsError, NotImplementedByDoppio

SENDER = "no-reply@sns.amazonaws.com"
_AGENT = "Amazon Simple Notification Service Agent"
_QUEUE_ATTRIBUTES_MAX = 10
_TOO_MANY = "A message of a queue has at most 10 attributes"
# As much of what a server answers is logged.
_WORDS_BYTES_MAX = 1_024


class Outcome(Enum):
    """What became of a delivery."""

    DONE = "done"
    AGAIN = "again"  # the subscriber may take it later
    REFUSED = "refused"  # it never will


class Reply(NamedTuple):
    """What a subscriber said: what becomes of the delivery, and for its log, the words."""

    outcome: Outcome
    status: int = 200
    words: str | Mapping[str, Any] = ""


_DONE = Reply(Outcome.DONE)
# What SNS calls the request of which it has no id, by the service.
_REQUESTS = {"sqs": "sqsRequestId", "lambda": "lambdaRequestId", "firehose": "firehoseRequestId"}


Way = Callable[[Context, "Topic | None", Subscription, Message], Awaitable[Reply]]
# By which method a protocol's subscribers are reached.
_WAYS = {
    "sqs": "_to_queue",
    "lambda": "_to_function",
    "http": "_to_server",
    "https": "_to_server",
    "email": "_to_mailbox",
    "email-json": "_to_mailbox",
    "sms": "_to_phone",
    "application": "_to_app",
    "firehose": "_to_stream",
}


class Ways:
    """Delivers."""

    def __init__(self) -> None:
        self._signer = Signer()

    async def deliver(
        self,
        ctx: Context,
        topic: Topic | None,
        subscription: Subscription,
        message: Message,
        *,
        earlier: int = 0,
        last: bool = False,
    ) -> Outcome:
        """Bring a message to a subscriber, once; `earlier` tries have failed.

        Of the `last` try there is no other outcome than that it arrived, or never will.
        """
        way: Way = getattr(self, _WAYS[subscription.protocol])
        try:
            reply = await way(ctx, topic, subscription, message)
        except AwsError as error:
            reply = _refusal(subscription.protocol, error)
        outcome = reply.outcome
        if outcome is Outcome.AGAIN and last:
            outcome = Outcome.REFUSED
        if message.kind != "Notification":
            return outcome
        if outcome is Outcome.DONE:
            count_of(ctx, DELIVERED, subscription.topic)
        if topic is not None and topic.attributes and outcome is not Outcome.AGAIN:
            await _log_status(ctx, topic, subscription, message, reply, earlier + 1)
        return outcome

    async def dead_letter(
        self,
        ctx: Context,
        topic: Topic | None,
        subscription: Subscription,
        message: Message,
        arn: str,
    ) -> Outcome:
        """Put what could not be delivered into the subscription's dead-letter queue."""
        body = await self._body(ctx, topic, subscription, message)
        try:
            return (await _send(ctx, subscription, message, arn, body)).outcome
        except AwsError as error:
            return outcome_of(error)

    async def _body(
        self, ctx: Context, topic: Topic | None, subscription: Subscription, message: Message
    ) -> str:
        raw = subscription.attributes.get("RawMessageDelivery", "").lower() == "true"
        if raw and message.kind == "Notification":
            return text_for(message, subscription.protocol)
        return as_json(await self._envelope(ctx, topic, subscription, message))

    async def _envelope(
        self, ctx: Context, topic: Topic | None, subscription: Subscription, message: Message
    ) -> dict[str, Any]:
        version = "1" if topic is None else topic.attributes.get("SignatureVersion", "1")
        sign, certificate_url = await self._signer.ready(ctx, version)
        return envelope(
            message,
            subscription,
            endpoint=ctx.kernel.endpoint,
            certificate_url=certificate_url,
            version=version,
            sign=sign,
        )

    async def _to_queue(
        self, ctx: Context, topic: Topic | None, subscription: Subscription, message: Message
    ) -> Reply:
        body = await self._body(ctx, topic, subscription, message)
        return await _send(ctx, subscription, message, subscription.endpoint, body)

    async def _to_function(
        self, ctx: Context, topic: Topic | None, subscription: Subscription, message: Message
    ) -> Reply:
        told = await self._envelope(ctx, topic, subscription, message)
        told.setdefault("Subject", None)
        told["SigningCertUrl"] = told.pop("SigningCertURL")
        told["UnsubscribeUrl"] = told.pop("UnsubscribeURL")
        told.setdefault("MessageAttributes", {})
        event = {
            "Records": [
                {
                    "EventSource": "aws:sns",
                    "EventVersion": "1.0",
                    "EventSubscriptionArn": subscription.arn,
                    "Sns": told,
                }
            ]
        }
        region = subscription.endpoint.split(":")[3]
        await _as_topic(ctx, message, region).call(
            "lambda",
            "invoke",
            {
                "FunctionName": subscription.endpoint,
                "InvocationType": "Event",
                "Payload": as_json(event).encode(),
            },
        )
        return Reply(Outcome.DONE, 202, {"lambdaRequestId": ctx.request_id})

    async def _to_stream(
        self, ctx: Context, topic: Topic | None, subscription: Subscription, message: Message
    ) -> Reply:
        body = await self._body(ctx, topic, subscription, message)
        parts = subscription.endpoint.split(":")
        told = await _as_topic(ctx, message, parts[3]).call(
            "firehose",
            "put_record",
            {
                "DeliveryStreamName": parts[5].partition("/")[2],
                "Record": {"Data": f"{body}\n".encode()},
            },
        )
        return Reply(Outcome.DONE, 200, {"recordId": told["RecordId"]})

    async def _to_server(
        self, ctx: Context, topic: Topic | None, subscription: Subscription, message: Message
    ) -> Reply:
        body = await self._body(ctx, topic, subscription, message)
        headers = {
            "content-type": PLAIN_TEXT,
            "user-agent": _AGENT,
            "x-amz-sns-message-type": message.kind,
            "x-amz-sns-message-id": message.id,
            "x-amz-sns-topic-arn": message.topic,
        }
        if message.kind == "Notification":
            headers["content-type"] = delivery_policy_of(topic, subscription).content_type
            headers["x-amz-sns-subscription-arn"] = subscription.arn
        if subscription.attributes.get("RawMessageDelivery", "").lower() == "true":
            headers["x-amz-sns-rawdelivery"] = "true"
        answer = await ctx.machine.http.send(
            "POST",
            subscription.endpoint,
            headers=headers,
            body=body.encode(),
            seconds_max=limits.HTTP_SECONDS_MAX,
        )
        words = answer.error or answer.body[:_WORDS_BYTES_MAX].decode(errors="replace")
        if answer.ok:
            return Reply(Outcome.DONE, answer.status, words)
        # What a server refuses for good is not tried again; that it was too busy is.
        final = 400 <= answer.status < 500 and answer.status not in {408, 429}
        return Reply(Outcome.REFUSED if final else Outcome.AGAIN, answer.status, words)

    async def _to_mailbox(
        self, ctx: Context, topic: Topic | None, subscription: Subscription, message: Message
    ) -> Reply:
        subject = message.subject or "AWS Notification Message"
        sender = topic.attributes.get("DisplayName", "") if topic is not None else ""
        if message.kind != "Notification":
            subject, sender = "AWS Notification - Subscription Confirmation", ""
        if subscription.protocol == "email-json":
            body = as_json(await self._envelope(ctx, topic, subscription, message))
        elif message.token is not None:
            link = subscribe_url(ctx.kernel.endpoint, message.topic, message.token)
            body = (
                f"You have chosen to subscribe to the topic:\n{message.topic}\n\n"
                "To confirm this subscription, open this link (if this was in error no action is "
                f"necessary):\n{link}\n"
            )
        else:
            link = unsubscribe_url(ctx.kernel.endpoint, subscription.arn)
            body = (
                f"{text_for(message, 'email')}\n\n--\nIf you wish to stop receiving notifications "
                f"from this topic, open this link to unsubscribe:\n{link}\n"
            )

        sender = f"{sender or 'AWS Notifications'} <{SENDER}>"
        if ctx.machine.smtp is not None:
            return await self._by_smtp(ctx, sender, subscription.endpoint, subject, body)

        async def keep(tx: Tx) -> None:
            tx.put(
                Mail(
                    account=subscription.account,
                    at=ctx.clock.now(),
                    id=f"{message.id}/{subscription.id}",
                    sender=sender,
                    to=subscription.endpoint,
                    subject=subject,
                    body=body,
                )
            )
            tx.meter("DeliveryAttempts-SMTP")

        await ctx.transact(keep)
        return _DONE

    async def _by_smtp(self, ctx: Context, sender: str, to: str, subject: str, body: str) -> Reply:
        """Hand a mail to the mail server; what that refuses for now is tried again."""
        ctx.read().meter("DeliveryAttempts-SMTP")
        sent = await ctx.machine.smtp.send(
            sender=sender,
            to=to,
            subject=subject,
            body=body,
            seconds_max=limits.MAIL_SECONDS_MAX,
            at=ctx.clock.now(),
        )
        if sent.ok:
            return _DONE
        return Reply(Outcome.REFUSED if sent.final else Outcome.AGAIN)

    async def _to_phone(
        self, ctx: Context, topic: Topic | None, subscription: Subscription, message: Message
    ) -> Reply:
        sender = topic.attributes.get("DisplayName", "") if topic is not None else ""
        text = text_for(message, "sms")
        where = (subscription.account, subscription.region)
        sent = await send_text(ctx, where, subscription.endpoint, text, message, sender=sender)
        return _DONE if sent else Reply(Outcome.REFUSED)

    async def _to_app(
        self, ctx: Context, topic: Topic | None, subscription: Subscription, message: Message
    ) -> Reply:
        refused = await push(ctx, subscription.endpoint, message)
        return _DONE if refused is None else Reply(Outcome.REFUSED, refused.status, refused.message)


def outcome_of(error: AwsError) -> Outcome:
    """Whether a refusal is for good."""
    if isinstance(error, NotImplementedByDoppio | AccessDenied):
        return Outcome.REFUSED
    return Outcome.AGAIN if error.status >= 500 or error.status == 429 else Outcome.REFUSED


def _refusal(protocol: str, error: AwsError) -> Reply:
    words = {"ErrorCode": error.code, "ErrorMessage": error.message}
    if protocol in _REQUESTS:
        words[_REQUESTS[protocol]] = "Unrecoverable"
    return Reply(outcome_of(error), error.status, words)


async def _log_status(
    ctx: Context,
    topic: Topic,
    subscription: Subscription,
    message: Message,
    reply: Reply,
    attempts: int,
) -> None:
    """Log what became of a delivery, where the topic has somebody to write it."""
    prefix = NAMES.get(subscription.protocol)
    good = reply.outcome is Outcome.DONE
    role = prefix and logs_with(ctx, topic.attributes, prefix, good=good)
    if not role:
        return
    words = reply.words if isinstance(reply.words, str) else as_json(reply.words)
    delivery: dict[str, Any] = {
        "deliveryId": ctx.new_id(),
        "destination": subscription.endpoint,
        "providerResponse": words,
        "dwellTimeMs": dwell(ctx, message),
        "attempts": attempts,
        "statusCode": reply.status,
    }
    if subscription.protocol == "application":
        delivery["token"] = await token_of(ctx.read(), subscription.endpoint)

    async def tell(tx: Tx) -> None:
        report(tx, topic.arn, role, message, delivery, good=good)

    await ctx.transact(tell)


def _as_topic(ctx: Context, message: Message, region: str) -> Context:
    """SNS as a principal, on behalf of a topic."""
    account = message.topic.split(":")[4]
    return ctx.derive(service_caller("sns", account, message.topic), region=region)


async def _send(
    ctx: Context, subscription: Subscription, message: Message, queue: str, body: str
) -> Reply:
    parts = queue.split(":")
    req: dict[str, Any] = {"QueueUrl": url_of(ctx, queue), "MessageBody": body}
    raw = subscription.attributes.get("RawMessageDelivery", "").lower() == "true"
    if raw and message.attributes:
        if len(message.attributes) > _QUEUE_ATTRIBUTES_MAX:
            return Reply(Outcome.REFUSED, 400, _TOO_MANY)
        req["MessageAttributes"] = message.attributes
    if parts[5].endswith(".fifo"):
        req["MessageGroupId"] = message.group or message.id
        req["MessageDeduplicationId"] = message.deduplication or message.id
    elif message.group is not None:
        req["MessageGroupId"] = message.group
    told = await _as_topic(ctx, message, parts[3]).call("sqs", "send_message", req)
    return Reply(
        Outcome.DONE, 200, {"sqsRequestId": ctx.request_id, "sqsMessageId": told["MessageId"]}
    )
