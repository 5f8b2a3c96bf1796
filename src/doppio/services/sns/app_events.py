"""What an app's owner is told of its endpoints: made, changed, deleted, or not reached.

Each is a fact in the commit in which it happens; a durable subscription publishes it to the topic
that the app names for it, as SNS on behalf of the app, so that the topic's policy decides. A topic
that still has its first policy lets its own account's apps in.

Source: "Amazon SNS event types for mobile app events".
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

from doppio.kernel.context import Context, Tx
from doppio.kernel.events import Event, Subscription
from doppio.kernel.identity import service_caller
from doppio.services.sns.errors import InvalidParameter
from doppio.services.sns.records import Application
from doppio.wire.errors import AwsError
from doppio.wire.timestamps import format_iso8601_millis

_log = logging.getLogger("doppio.services.sns")
CREATED = "EventEndpointCreated"
DELETED = "EventEndpointDeleted"
UPDATED = "EventEndpointUpdated"
FAILED = "EventDeliveryFailure"
NAMES = frozenset({CREATED, DELETED, UPDATED, FAILED})


class Said(Event, frozen=True, kw_only=True):
    """Something that an app's topic is told. The key is the topic and the app."""

    text: str


def checked_topic(name: str, arn: str) -> None:
    """Raise InvalidParameter for what is not a topic's ARN."""
    parts = arn.split(":")
    if arn and (len(parts) != 6 or parts[0] != "arn" or parts[2] != "sns"):
        raise InvalidParameter(f"Attributes Reason: {name}: Invalid Topic ARN")


def say(tx: Tx, application: Application, name: str, endpoint: str, **more: Any) -> None:
    """Tell the topic that the app names for such a thing, if it names one."""
    topic = application.attributes.get(name)
    if not topic:
        return
    told = {
        "EndpointArn": endpoint,
        "EventType": name.removeprefix("Event"),
        "Resource": application.arn,
        "Service": "SNS",
        "Time": format_iso8601_millis(tx.context.clock.now()),
        **more,
    }
    tx.emit(Said(key=(topic, application.arn), text=json.dumps(told)))


async def publish(ctx: Context, event: Event) -> None:
    """Publish what happened. Raises only what another try may mend."""
    assert isinstance(event, Said)
    topic, application = event.key
    _, _, _, region, account, _ = application.split(":", 5)
    service = service_caller("sns", account, application)
    teller = ctx.derive(replace(service, session={"aws:sourceowner": account}), region=region)
    try:
        await teller.call("sns", "publish", {"TopicArn": topic, "Message": event.text})
    except AwsError as error:
        if error.status >= 500 and error.status != 501:
            raise
        _log.info("%s does not hear of %s: %s", topic, application, error)


SUBSCRIPTION = Subscription("sns.app_events", (Said,), publish)
