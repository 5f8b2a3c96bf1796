"""Subscriptions: made, confirmed, set, listed and ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from doppio.kernel.context import Context, Tx
from doppio.kernel.paging import first
from doppio.services.sns import limits
from doppio.services.sns.archive import with_replay
from doppio.services.sns.attributes import checked_subscription_attribute, shown_subscription
from doppio.services.sns.courier import add_deliveries, forget
from doppio.services.sns.errors import AuthorizationError, InvalidParameter
from doppio.services.sns.lookup import (
    existing_subscription,
    existing_topic,
    page,
    subscription_of,
)
from doppio.services.sns.protection import subscriber_of
from doppio.services.sns.records import BY_ENDPOINT, OWNED, Endpoint, Message, Subscription, Topic
from doppio.services.sns.sms import checked_number

if TYPE_CHECKING:
    from doppio._stubs import sns as w

_PROTOCOLS = frozenset(
    {"http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose"}
)
_ASKED_FIRST = frozenset({"http", "https", "email", "email-json"})
_OF_ARN = {"sqs": "SQS endpoint ARN", "lambda": "Lambda endpoint ARN", "firehose": "Firehose ARN"}
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
PENDING = "pending confirmation"
_FIFO_PROTOCOLS = frozenset({"sqs"})


class Subscriptions:
    """The operations on subscriptions."""

    async def subscribe(self, ctx: Context, req: w.SubscribeInput) -> w.SubscribeResponse:
        """Subscribe an endpoint; the same one again is told its subscription."""
        protocol, endpoint = req["Protocol"], req.get("Endpoint", "")
        attributes = dict(req.get("Attributes") or {})
        async with ctx.write() as tx:
            topic = await existing_topic(tx, req["TopicArn"])
            await _check_endpoint(tx, topic, protocol, endpoint)
            scope = attributes.get("FilterPolicyScope", "MessageAttributes")
            for name, value in attributes.items():
                checked_subscription_attribute(
                    name, value, protocol=protocol, fifo=topic.fifo, scope=scope
                )
            tx.meter("Requests-Tier1")
            old = await tx.find(BY_ENDPOINT, (topic.arn, protocol, endpoint), limit=1)
            if old:
                _check_same(old[0], attributes)
                subscription = old[0]
                if subscription.pending:
                    await _ask(tx, subscription)
            else:
                subscription = _new(ctx, topic, protocol, endpoint, attributes)
                if "ReplayPolicy" in attributes:
                    subscription = await with_replay(tx, topic, subscription)
                tx.add(subscription)
                if subscription.pending:
                    await _ask(tx, subscription)
        if subscription.pending and not req.get("ReturnSubscriptionArn"):
            return {"SubscriptionArn": PENDING}
        return {"SubscriptionArn": subscription.arn}

    async def confirm_subscription(
        self, ctx: Context, req: w.ConfirmSubscriptionInput
    ) -> w.ConfirmSubscriptionResponse:
        """Confirm with the token that the endpoint was sent."""
        authenticated = req.get("AuthenticateOnUnsubscribe", "").lower() == "true"
        async with ctx.write() as tx:
            topic = await existing_topic(tx, req["TopicArn"])
            found = await first(
                tx, Subscription, (topic.arn,), step=limits.SUBSCRIPTIONS_A_READ,
                fits=lambda one: one.token == req["Token"] and _is_fresh(ctx, one),
            )  # fmt: skip
            if found is None:
                raise InvalidParameter("Token")
            tx.put(
                replace(
                    found,
                    token=None,
                    token_at=None,
                    authenticated=ctx.caller.kind != "anonymous",
                    owner_only=authenticated,
                )
            )
        return {"SubscriptionArn": found.arn}

    async def unsubscribe(self, ctx: Context, req: w.UnsubscribeInput) -> None:
        """End a subscription; one that is gone is no error. Its link needs no signature."""
        async with ctx.write() as tx:
            found = await subscription_of(tx, req["SubscriptionArn"])
            if found is None:
                return
            anonymous = ctx.caller.kind == "anonymous"
            if anonymous and found.owner_only:
                raise AuthorizationError("Unsubscribing takes the owner's signature")
            await forget(tx, found)
            parts = found.topic.split(":")
            topic = await tx.get(Topic, parts[4], parts[3], parts[5])
            if topic is not None:
                tx.put(replace(topic, deleted_subscriptions=topic.deleted_subscriptions + 1))

    async def list_subscriptions(
        self, ctx: Context, req: w.ListSubscriptionsInput
    ) -> w.ListSubscriptionsResponse:
        """The account's subscriptions in the Region, by pages of 100."""
        scope = f"subscriptions/{ctx.account}/{ctx.region}"
        shown, token = await page(ctx.read(), OWNED, (ctx.account, ctx.region), req, scope)
        result: w.ListSubscriptionsResponse = {"Subscriptions": _listed(shown)}
        if token is not None:
            result["NextToken"] = token
        return result

    async def list_subscriptions_by_topic(
        self, ctx: Context, req: w.ListSubscriptionsByTopicInput
    ) -> w.ListSubscriptionsByTopicResponse:
        """A topic's subscriptions, by pages of 100."""
        reader = ctx.read()
        topic = await existing_topic(reader, req["TopicArn"])
        shown, token = await page(reader, Subscription, (topic.arn,), req, topic.arn)
        result: w.ListSubscriptionsByTopicResponse = {"Subscriptions": _listed(shown)}
        if token is not None:
            result["NextToken"] = token
        return result

    async def get_subscription_attributes(
        self, ctx: Context, req: w.GetSubscriptionAttributesInput
    ) -> w.GetSubscriptionAttributesResponse:
        """What a subscription is set to."""
        reader = ctx.read()
        subscription = await existing_subscription(reader, req["SubscriptionArn"])
        parts = subscription.topic.split(":")
        topic = await reader.get(Topic, parts[4], parts[3], parts[5])
        return {"Attributes": dict(shown_subscription(topic, subscription))}

    async def set_subscription_attributes(
        self, ctx: Context, req: w.SetSubscriptionAttributesInput
    ) -> None:
        """Set one attribute; an empty value takes it off."""
        name, value = req["AttributeName"], req.get("AttributeValue", "")
        async with ctx.write() as tx:
            found = await existing_subscription(tx, req["SubscriptionArn"])
            scope = found.attributes.get("FilterPolicyScope", "MessageAttributes")
            checked_subscription_attribute(
                name,
                value,
                protocol=found.protocol,
                fifo=found.topic.endswith(".fifo"),
                scope=scope,
            )
            if name == "FilterPolicyScope" and found.attributes.get("FilterPolicy"):
                checked_subscription_attribute(
                    "FilterPolicy",
                    found.attributes["FilterPolicy"],
                    protocol=found.protocol,
                    fifo=False,
                    scope=value,
                )
            attributes = {**found.attributes, name: value}
            if not value or (name == "FilterPolicy" and value.strip() == "{}"):
                del attributes[name]
            changed = replace(found, attributes=attributes)
            if name == "ReplayPolicy":
                topic = await existing_topic(tx, found.topic)
                changed = await with_replay(tx, topic, changed)
            tx.put(changed)


def _new(
    ctx: Context, topic: Topic, protocol: str, endpoint: str, attributes: dict[str, str]
) -> Subscription:
    confirmed = protocol not in _ASKED_FIRST and not _of_another(ctx, protocol, endpoint)
    return Subscription(
        topic=topic.arn,
        id=ctx.new_id(),
        account=ctx.account,
        region=topic.region,
        protocol=protocol,
        endpoint=endpoint,
        created_at=ctx.now,
        attributes={name: value for name, value in attributes.items() if value},
        token=None if confirmed else ctx.kernel.ids.bytes(128).hex(),
        token_at=None if confirmed else ctx.now,
        authenticated=confirmed,
        subscriber=subscriber_of(ctx.caller),
    )


def _of_another(ctx: Context, protocol: str, endpoint: str) -> bool:
    """Whether the endpoint is another account's, who must agree first."""
    return protocol in {"sqs", "lambda"} and endpoint.split(":")[4] != ctx.account


def _is_fresh(ctx: Context, subscription: Subscription) -> bool:
    at = subscription.token_at
    return at is not None and ctx.now - at <= limits.CONFIRMATION


async def _ask(tx: Tx, subscription: Subscription) -> None:
    """Send the endpoint what confirms the subscription."""
    ctx = tx.context
    if not _is_fresh(ctx, subscription):
        subscription = replace(
            subscription, token=ctx.kernel.ids.bytes(128).hex(), token_at=ctx.now
        )
        tx.put(subscription)
    message = Message(
        id=ctx.new_id(),
        topic=subscription.topic,
        kind="SubscriptionConfirmation",
        text=(
            f"You have chosen to subscribe to the topic {subscription.topic}.\nTo confirm the "
            "subscription, visit the SubscribeURL included in this message."
        ),
        published_at=ctx.now,
        token=subscription.token,
    )
    await add_deliveries(tx, message, [subscription])


def _check_same(old: Subscription, attributes: dict[str, str]) -> None:
    if any(old.attributes.get(name, "") != value for name, value in attributes.items()):
        raise InvalidParameter(
            "Attributes Reason: Subscription already exists with different attributes"
        )


async def _check_endpoint(reader: Any, topic: Topic, protocol: str, endpoint: str) -> None:
    if protocol not in _PROTOCOLS:
        raise InvalidParameter(f"Amazon SNS does not support this protocol string: {protocol}")
    if topic.fifo and protocol not in _FIFO_PROTOCOLS:
        raise InvalidParameter(
            f"Invalid protocol type: {protocol}. FIFO topics deliver to Amazon SQS alone."
        )
    if not endpoint:
        raise InvalidParameter("Endpoint")
    if protocol in _OF_ARN:
        parts = endpoint.split(":")
        if len(parts) < 6 or parts[0] != "arn" or parts[2] != protocol:
            raise InvalidParameter(_OF_ARN[protocol])
        if protocol == "sqs" and endpoint.endswith(".fifo") and not topic.fifo:
            raise InvalidParameter(
                "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to "
                "standard SNS topics"
            )
    elif protocol in {"http", "https"}:
        parts_of_url = urlsplit(endpoint)
        if parts_of_url.scheme != protocol or not parts_of_url.hostname:
            raise InvalidParameter("Endpoint must match the specified protocol")
    elif protocol in {"email", "email-json"}:
        if _MAIL.fullmatch(endpoint) is None:
            raise InvalidParameter("Email address")
    elif protocol == "sms":
        checked_number(endpoint, f"Invalid SMS endpoint: {endpoint}")
    elif protocol == "application":
        await _check_app(reader, endpoint)


async def _check_app(reader: Any, arn: str) -> None:
    application, _, identity = arn.replace(":endpoint/", ":app/").rpartition("/")
    if await reader.get(Endpoint, application, identity) is None:
        raise InvalidParameter("Endpoint Reason: Endpoint does not exist for endpoint arn" + arn)


def _listed(found: Sequence[Subscription]) -> list[w.Subscription]:
    return [
        {
            "SubscriptionArn": "PendingConfirmation" if one.pending else one.arn,
            "Owner": one.account,
            "Protocol": one.protocol,
            "Endpoint": one.endpoint,
            "TopicArn": one.topic,
        }
        for one in found
    ]
