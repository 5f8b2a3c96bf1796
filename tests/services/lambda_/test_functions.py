"""Functions, through the door."""

from __future__ import annotations

import base64
import hashlib

from doppio.services.lambda_.service import SERVICE
from doppio.wire import model
from tests.services.lambda_.base import ROLE, make_function, packages, until, zipped
from tests.services.world import World, refused, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


def test_every_operation_is_one_of_the_model() -> None:
    assert set(SERVICE.operations) <= set(model.load("lambda").by_method)


@told
async def test_a_function_is_pending_and_then_active(world: World) -> None:
    made = await make_function(world, Description="mine", Tags={"a": "b"})
    assert made["State"] == "Pending"
    assert made["StateReasonCode"] == "Creating"
    assert made["FunctionArn"] == ARN
    assert made["CodeSize"] == len(zipped())
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(zipped()).digest()).decode()
    got = await world.call("lambda", "get_function", FunctionName="f")
    configuration = got["Configuration"]
    assert configuration["State"] == "Active"
    assert configuration["LastUpdateStatus"] == "Successful"
    assert configuration["Role"] == ROLE
    assert configuration["Version"] == "$LATEST"
    assert got["Tags"] == {"a": "b"}


@told
async def test_a_role_that_does_not_trust_lambda_is_refused(world: World) -> None:
    await make_function(world)
    error = await refused(world.call(
        "lambda", "create_function", FunctionName="g", Runtime="python3.13", Handler="a.b",
        Role="arn:aws:iam::000000000000:role/nobody", Code={"ZipFile": zipped()},
    ))  # fmt: skip
    assert error.code == "InvalidParameterValueException"
    assert error.message == "The role defined for the function cannot be assumed by Lambda."


@told
async def test_a_function_is_deleted_with_its_package(world: World) -> None:
    await make_function(world)
    await world.call("lambda", "delete_function", FunctionName="f")
    error = await refused(world.call("lambda", "get_function", FunctionName="f"))
    assert (error.code, error.message) == (
        "ResourceNotFoundException",
        f"Function not found: {ARN}",
    )
    assert len(packages(world)) == 1
    await world.advance(hours=2)
    await until(world, lambda: packages(world) == [])
