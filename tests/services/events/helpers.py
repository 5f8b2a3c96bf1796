"""What EventBridge's tests share: queues that rules may write to, and rules that do."""

from __future__ import annotations

import json
from typing import Any

from tests.services.sns.helpers import heard
from tests.services.world import ACCOUNT, REGION, World

ANY = json.dumps({"source": [{"prefix": ""}]})


async def queue(world: World, name: str, *, closed: bool = False, account: str = ACCOUNT) -> str:
    """Create a queue that EventBridge may write to; its ARN."""
    arn = f"arn:aws:sqs:{REGION}:{account}:{name}"
    attributes = (
        {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if name.endswith(".fifo") else {}
    )
    if not closed:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        attributes["Policy"] = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call("sqs", "create_queue", account=account, QueueName=name, Attributes=attributes)
    return arn


async def rule(
    world: World, name: str, *targets: dict[str, Any], pattern: str = ANY, **more: Any
) -> str:
    """Put a rule with targets; its ARN."""
    if "ScheduleExpression" not in more:
        more["EventPattern"] = pattern
    account = more.pop("account", ACCOUNT)
    arn: str = (await world.call("events", "put_rule", account=account, Name=name, **more))[
        "RuleArn"
    ]
    where = {"EventBusName": more["EventBusName"]} if "EventBusName" in more else {}
    if targets:
        told = [{"Id": str(number), **target} for number, target in enumerate(targets)]
        await world.call("events", "put_targets", account=account, Rule=name, Targets=told, **where)
    return arn


async def put(world: World, **entry: Any) -> dict[str, Any]:
    """Put one event, and let what follows happen; its result."""
    told = {"Source": "shop", "DetailType": "sold", "Detail": '{"tea": 2}', **entry}
    account = told.pop("account", ACCOUNT)
    answer = await world.call("events", "put_events", account=account, Entries=[told])
    await world.settle()
    found: dict[str, Any] = answer["Entries"][0]
    return found


async def bodies(world: World, arn: str) -> list[str]:
    """The texts in a queue, taken out of it."""
    return [one["Body"] for one in await heard(world, arn)]
