"""What the tests of calls share: a function that does as its event says, and calls of it."""

from __future__ import annotations

import json
from typing import Any

from tests.services.lambda_.base import make_function, zipped
from tests.services.world import World

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
CODE = """
import os, sys, time
def handler(event, context):
    if "raise" in event:
        raise ValueError(event["raise"])
    if "exit" in event:
        sys.exit(event["exit"])
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "print" in event:
        print(event["print"])
    if "grow" in event:
        held = bytearray(event["grow"] * 2**20)
    if "size" in event:
        return "x" * event["size"]
    return {
        "event": event, "pid": os.getpid(), "id": context.aws_request_id,
        "arn": context.invoked_function_arn, "left": context.get_remaining_time_in_millis(),
        "variables": dict(os.environ),
    }
"""


async def function(world: World, code: str = CODE, **more: Any) -> None:
    given = {"Code": {"ZipFile": zipped(code)}, "Runtime": "python3.11", **more}
    await make_function(world, "f", **given)


async def call(world: World, event: Any, **more: Any) -> dict[str, Any]:
    payload = json.dumps(event).encode()
    answer: dict[str, Any] = await world.call(
        "lambda", "invoke", FunctionName="f", Payload=payload, **more
    )
    answer["Payload"] = json.loads(answer["Payload"])
    return answer
