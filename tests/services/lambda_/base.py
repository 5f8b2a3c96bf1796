"""What the tests of Lambda share: a role, a package, a function."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

from tests.services.world import World

TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }],
})  # fmt: skip
ROLE = "arn:aws:iam::000000000000:role/runner"
CODE = "def handler(event, context):\n    return event\n"


def zipped(text: str = CODE, name: str = "app.py") -> bytes:
    """A package of one file; the same text makes the same package."""
    return zipped_files({name: text})


def zipped_files(files: dict[str, str | bytes]) -> bytes:
    """A package of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


async def make_role(world: World, name: str = "runner") -> str:
    """A role that Lambda may take on; its ARN."""
    made = await world.call("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=TRUST)
    return str(made["Role"]["Arn"])


async def make_function(world: World, name: str = "f", /, **more: Any) -> dict[str, Any]:
    """A function that answers what it is told, Active."""
    given: dict[str, Any] = {
        "Runtime": "python3.13", "Handler": "app.handler", "Role": ROLE,
        "Code": {"ZipFile": zipped()}, **more,
    }  # fmt: skip
    if not await _has_role(world):
        await make_role(world)
    made: dict[str, Any] = await world.call("lambda", "create_function", FunctionName=name, **given)
    await world.settle()
    return made


async def _has_role(world: World) -> bool:
    roles = await world.call("iam", "list_roles")
    return any(role["RoleName"] == "runner" for role in roles["Roles"])


def packages(world: World) -> list[str]:
    """The packages that lie among the blobs."""
    return [one for one in world.cloud.blobs.ids() if one.startswith("lambda_")]


async def until(world: World, true: Callable[[], bool]) -> None:
    """Let background work that waits for a thread finish; it fails after ten seconds."""
    for _ in range(1_000):
        if true():
            return
        await world.settle()
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")
