"""What SQS's tests say often."""

from __future__ import annotations

from typing import Any

from tests.services.world import ACCOUNT, REGION, World


def arn(name: str) -> str:
    """The ARN of a queue of the account."""
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


async def make(world: World, name: str = "q", **attributes: str) -> str:
    """Create a queue; its URL."""
    if name.endswith(".fifo"):
        attributes = {"FifoQueue": "true", **attributes}
    made = await world.call("sqs", "create_queue", QueueName=name, Attributes=attributes)
    return str(made["QueueUrl"])


async def send(world: World, url: str, body: str = "coffee", **req: Any) -> Any:
    """Send a message."""
    return await world.call("sqs", "send_message", QueueUrl=url, MessageBody=body, **req)


async def receive(world: World, url: str, **req: Any) -> list[dict[str, Any]]:
    """Receive up to ten messages."""
    req.setdefault("MaxNumberOfMessages", 10)
    got = await world.call("sqs", "receive_message", QueueUrl=url, **req)
    found: list[dict[str, Any]] = got.get("Messages", [])
    return found


async def bodies(world: World, url: str, **req: Any) -> list[str]:
    """The bodies of what can be received, in order."""
    return [message["Body"] for message in await receive(world, url, **req)]


async def one(world: World, url: str, **req: Any) -> dict[str, Any]:
    """Receive exactly one message."""
    [message] = await receive(world, url, **req)
    return message


async def delete(world: World, url: str, message: dict[str, Any]) -> None:
    """Delete a received message."""
    await world.call("sqs", "delete_message", QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


async def hide(world: World, url: str, message: dict[str, Any], seconds: int) -> None:
    """Change the visibility of a received message."""
    await world.call(
        "sqs", "change_message_visibility", QueueUrl=url,
        ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds,
    )  # fmt: skip


async def attributes(world: World, url: str, *names: str) -> dict[str, str]:
    """Attributes of a queue."""
    got = await world.call(
        "sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=list(names or ("All",))
    )
    found: dict[str, str] = got.get("Attributes", {})
    return found


async def counts(world: World, url: str) -> tuple[int, int, int]:
    """Messages that wait, that are in flight, and that are delayed."""
    shown = await attributes(world, url)
    start = "ApproximateNumberOfMessages"
    return int(shown[start]), int(shown[f"{start}NotVisible"]), int(shown[f"{start}Delayed"])
