"""Environments under a customer's key, through the door."""

from __future__ import annotations

import json
from typing import Any

from tests.services.lambda_.base import make_function, zipped
from tests.services.world import World, refusal, refused, told

SAYS = "import os\ndef handler(event, context):\n    return os.environ.get('BEANS')\n"


async def make_key(world: World) -> str:
    made = await world.call("kms", "create_key")
    return str(made["KeyMetadata"]["Arn"])


async def says(world: World) -> Any:
    answer = await world.call("lambda", "invoke", FunctionName="f")
    return json.loads(answer["Payload"])


async def sealed_function(world: World) -> str:
    key = await make_key(world)
    made = await make_function(
        world, Code={"ZipFile": zipped(SAYS)}, KMSKeyArn=key,
        Environment={"Variables": {"BEANS": "dark roast"}},
    )  # fmt: skip
    assert (made["KMSKeyArn"], made["Environment"]) == (key, {"Variables": {"BEANS": "dark roast"}})
    return key


@told
async def test_variables_lie_sealed_and_code_sees_them(world: World) -> None:
    await sealed_function(world)
    assert await says(world) == "dark roast"
    rows = await world.memory.view().scan(b"", b"\xff" * 8, limit=10_000)
    ours = [value for _, value in rows if b"app.handler" in value]
    assert ours
    assert not any(b"dark roast" in value for value in ours)
    await world.call("lambda", "publish_version", FunctionName="f")
    answer = await world.call("lambda", "invoke", FunctionName="f", Qualifier="1")
    assert json.loads(answer["Payload"]) == "dark roast"


@told
async def test_who_may_not_use_the_key_sees_no_variables(world: World) -> None:
    await sealed_function(world)
    await world.call("iam", "create_user", UserName="u")
    statement = {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}
    await world.call(
        "iam", "put_user_policy", UserName="u", PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )  # fmt: skip
    key = (await world.call("iam", "create_access_key", UserName="u"))["AccessKey"]
    user = await world.who(key)
    got = await world.call("lambda", "get_function_configuration", FunctionName="f", caller=user)
    assert got["Environment"]["Error"]["ErrorCode"] == "KMSAccessDeniedException"
    error = await refused(
        world.call(
            "lambda", "update_function_configuration", FunctionName="f", caller=user,
            Environment={"Variables": {"BEANS": "light"}},
        )
    )  # fmt: skip
    assert error.code == "InvalidParameterValueException"
    assert "the KMS key is invalid for CreateGrant" in error.message


@told
async def test_a_function_whose_key_is_switched_off_does_not_start(world: World) -> None:
    key = await sealed_function(world)
    await world.call("kms", "disable_key", KeyId=key)
    code, text = await refusal(world.call("lambda", "invoke", FunctionName="f"))
    assert code == "KMSDisabledException"
    assert text.startswith("Lambda was unable to decrypt the environment variables because the KMS")
    await world.call("kms", "enable_key", KeyId=key)
    assert await says(world) == "dark roast"


@told
async def test_a_key_is_changed_and_given_up_without_saying_the_variables_again(
    world: World,
) -> None:
    await sealed_function(world)
    for key in (await make_key(world), ""):
        changed = await world.call(
            "lambda", "update_function_configuration", FunctionName="f", KMSKeyArn=key
        )
        assert changed["Environment"] == {"Variables": {"BEANS": "dark roast"}}
        assert changed.get("KMSKeyArn", "") == key
        await world.settle()
        assert await says(world) == "dark roast"
    changed = await world.call(
        "lambda", "update_function_configuration", FunctionName="f", Timeout=9
    )
    assert changed["Environment"] == {"Variables": {"BEANS": "dark roast"}}
