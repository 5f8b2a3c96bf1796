"""Deny: nothing is allowed that a tiny reference evaluator denies, and nothing else is denied."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import json
from typing import Any

from doppio.wire.errors import AccessDenied

from .world import ACCOUNT, REGION, Lost, Refused, World

USERS = 2
ATTEMPTS = 25
POLICIES = ("p1", "p2")
ACTIONS = (
    "s3:GetObject", "s3:PutObject", "s3:*", "sqs:SendMessage", "sqs:Get*", "dynamodb:GetItem",
    "dynamodb:*Item", "*",
)  # fmt: skip
RESOURCES = (
    "*", "arn:aws:s3:::shop/*", "arn:aws:s3:::shop/till", f"arn:aws:sqs:{REGION}:{ACCOUNT}:shop",
    f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/*", "arn:aws:s3:::sh?p/menu",
)  # fmt: skip
Document = tuple[tuple[str, str, str], ...]


def reference(documents: list[Document], action: str, resource: str) -> bool:
    """Whether statements, looked at one by one, allow it."""
    effects = {
        effect
        for document in documents
        for effect, actions, resources in document
        if fnmatch.fnmatchcase(action.lower(), actions.lower())
        and fnmatch.fnmatchcase(resource, resources)
    }
    return "Allow" in effects and "Deny" not in effects


class Deny:
    """Users whose policies come and go while they try what they may and may not do."""

    def __init__(self) -> None:
        self._url = ""
        self._keys: list[str] = []
        self.allowed = self.denied = 0

    async def setup(self, world: World) -> None:
        await world.call("s3", "create_bucket", Bucket="shop")
        for key in ("till", "menu"):
            await world.call("s3", "put_object", Bucket="shop", Key=key, Body=b"x")
        self._url = (await world.call("sqs", "create_queue", QueueName="shop"))["QueueUrl"]
        await world.call(
            "dynamodb", "create_table", TableName="shop", BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )  # fmt: skip
        while (await world.call("dynamodb", "describe_table", TableName="shop"))["Table"][
            "TableStatus"
        ] != "ACTIVE":
            await asyncio.sleep(0.1)
        for number in range(USERS):
            name = f"user-{number}"
            await world.call("iam", "create_user", UserName=name)
            made = await world.call("iam", "create_access_key", UserName=name)
            self._keys.append(made["AccessKey"]["AccessKeyId"])

    async def act(self, world: World) -> None:
        others = asyncio.create_task(self._others(world))
        async with asyncio.TaskGroup() as group:
            for number in range(USERS):
                group.create_task(self._user(world, number))
        others.cancel()

    async def _others(self, world: World) -> None:
        """Other requests with the same keys, at any moment."""
        while True:
            await asyncio.sleep(world.random.uniform(0.0, 0.01))
            key = world.random.choice(self._keys)
            with contextlib.suppress(Lost):
                await world.caller(key)

    async def _user(self, world: World, number: int) -> None:
        documents: dict[str, Document] = {}
        for _ in range(ATTEMPTS):
            await asyncio.sleep(world.random.uniform(0.0, 0.5))
            if world.random.random() < 0.4:
                await self._change(world, f"user-{number}", documents)
            else:
                await self._attempt(world, number, list(documents.values()))

    async def _change(self, world: World, user: str, documents: dict[str, Document]) -> None:
        name = world.random.choice(POLICIES)
        where: dict[str, Any] = {"UserName": user, "PolicyName": name}
        if name in documents and world.random.random() < 0.3:
            await self._gone(world, where)
            del documents[name]
            world.say(f"{user}: {name} is gone")
            return
        document = tuple(
            (
                world.random.choice(("Allow", "Allow", "Deny")),
                world.random.choice(ACTIONS),
                world.random.choice(RESOURCES),
            )
            for _ in range(world.random.randint(1, 3))
        )
        # Putting it twice is no more than putting it once.
        await world.surely("iam", "put_user_policy", **where, PolicyDocument=_text(document))
        documents[name] = document
        world.say(f"{user}: {name} is {document}")

    async def _gone(self, world: World, where: dict[str, Any]) -> None:
        try:
            await world.surely("iam", "delete_user_policy", **where)
        except Exception as error:
            # A deletion that was not answered may have been carried out.
            if getattr(error, "code", "") not in {"NoSuchEntity", "NoSuchEntityException"}:
                raise

    async def _attempt(self, world: World, number: int, documents: list[Document]) -> None:
        action, resource, service, method, req = world.random.choice(self._attempts())
        allowed = reference(documents, action, resource)
        try:
            caller = await world.until_answered(lambda: world.caller(self._keys[number]))
            await world.call(service, method, caller=caller, **req)
            was = True
        except AccessDenied:
            was = False
        except (Lost, Refused):
            return
        self.allowed += was
        self.denied += not was
        world.say(f"user-{number}: {action} on {resource} {'allowed' if was else 'denied'}")
        assert was == allowed, f"the reference says {allowed} of {action} on {resource}"

    def _attempts(self) -> list[tuple[str, str, str, str, dict[str, Any]]]:
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:shop"
        table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/shop"
        item = {"id": {"S": "1"}}
        attempts: list[tuple[str, str, str, str, dict[str, Any]]] = []
        for key in ("till", "menu"):
            arn, req = f"arn:aws:s3:::shop/{key}", {"Bucket": "shop", "Key": key}
            attempts += [
                ("s3:GetObject", arn, "s3", "get_object", req),
                ("s3:PutObject", arn, "s3", "put_object", {**req, "Body": b"y"}),
            ]
        url = {"QueueUrl": self._url}
        return [
            *attempts,
            ("sqs:SendMessage", queue, "sqs", "send_message", {**url, "MessageBody": "m"}),
            ("sqs:GetQueueAttributes", queue, "sqs", "get_queue_attributes", url),
            ("dynamodb:GetItem", table, "dynamodb", "get_item", {"TableName": "shop", "Key": item}),
            ("dynamodb:PutItem", table, "dynamodb", "put_item",
             {"TableName": "shop", "Item": item}),
        ]  # fmt: skip

    async def check(self, world: World) -> None:
        assert self.allowed + self.denied, "somebody tried something"


def _text(document: Document) -> str:
    statements = [
        {"Effect": effect, "Action": action, "Resource": resource}
        for effect, action, resource in document
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
