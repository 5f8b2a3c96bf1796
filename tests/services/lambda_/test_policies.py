"""Resource policies, through the door and as the engine judges them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel.identity import service_caller
from doppio.kernel.service import Need
from doppio.wire.errors import AccessDenied
from tests.services.lambda_.base import make_function
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, refused, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
BUCKET = "arn:aws:s3:::menu"


async def _allow(world: World, **more: Any) -> Any:
    return await world.call(
        "lambda", "add_permission", FunctionName="f",
        **{
            "StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
            **more,
        },
    )  # fmt: skip


async def _may(world: World, arn: str, source: str, account: str = ACCOUNT) -> bool:
    """Whether S3 may call, for a bucket of an account."""
    caller = service_caller("s3", account, source)
    ctx = world.cloud.context(caller, account=account, region=REGION, request_id="r")
    try:
        await world.cloud.authorise(ctx, Need("lambda:InvokeFunction", arn))
    except AccessDenied:
        return False
    return True


@told
async def test_a_service_is_let_in_for_its_source_alone(world: World) -> None:
    await make_function(world)
    assert not await _may(world, ARN, BUCKET)
    answer = await _allow(world, SourceArn=BUCKET, SourceAccount=ACCOUNT)
    assert json.loads(answer["Statement"]) == {
        "Sid": "s3", "Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction", "Resource": ARN,
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": ACCOUNT}, "ArnLike": {"AWS:SourceArn": BUCKET},
        },
    }  # fmt: skip
    assert await _may(world, ARN, BUCKET)
    assert not await _may(world, ARN, "arn:aws:s3:::other")
    assert not await _may(world, ARN, BUCKET, OTHER)
    await world.call("lambda", "remove_permission", FunctionName="f", StatementId="s3")
    assert not await _may(world, ARN, BUCKET)


@told
async def test_each_qualifier_has_a_policy_of_its_own(world: World) -> None:
    await make_function(world, Publish=True)
    await world.call("lambda", "create_alias", FunctionName="f", Name="live", FunctionVersion="1")
    await _allow(world, Qualifier="live")
    assert await _may(world, f"{ARN}:live", BUCKET)
    assert not await _may(world, ARN, BUCKET)
    assert not await _may(world, f"{ARN}:1", BUCKET)
    got = await world.call("lambda", "get_policy", FunctionName="f", Qualifier="live")
    document = json.loads(got["Policy"])
    assert (document["Id"], document["Statement"][0]["Resource"]) == ("default", f"{ARN}:live")
    error = await refused(world.call("lambda", "get_policy", FunctionName="f"))
    assert (error.code, error.message) == (
        "ResourceNotFoundException", "The resource you requested does not exist.",
    )  # fmt: skip
    await world.call("lambda", "delete_alias", FunctionName="f", Name="live")
    assert not await _may(world, f"{ARN}:live", BUCKET)


@told
async def test_a_deleted_function_leaves_no_policy_to_the_next_of_its_name(world: World) -> None:
    await make_function(world)
    await _allow(world)
    await world.call("lambda", "delete_function", FunctionName="f")
    await make_function(world)
    assert not await _may(world, ARN, BUCKET)


@told
async def test_a_statement_is_there_once_and_a_revision_counts(world: World) -> None:
    await make_function(world)
    await _allow(world)
    assert await refusal(_allow(world)) == (
        "ResourceConflictException",
        (
            "The statement id (s3) provided already exists. Please provide a new statement id, or "
            "remove the existing statement."
        ),
    )
    revision = (await world.call("lambda", "get_policy", FunctionName="f"))["RevisionId"]
    await _allow(world, StatementId="sns", Principal="sns.amazonaws.com", RevisionId=revision)
    error = await refused(_allow(world, StatementId="x", RevisionId=revision))
    assert error.code == "PreconditionFailedException"
    remove = world.call("lambda", "remove_permission", FunctionName="f", StatementId="none")
    assert await refusal(remove) == (
        "ResourceNotFoundException", "Statement none is not found in resource policy.",
    )  # fmt: skip


@told
async def test_an_account_is_let_in_and_may_then_see_the_function(world: World) -> None:
    await make_function(world)
    await _allow(world, Action="lambda:GetFunction", Principal=OTHER)
    got = await world.call("lambda", "get_function", FunctionName=ARN, account=OTHER)
    assert got["Configuration"]["FunctionName"] == "f"
    error = await refused(world.call("lambda", "delete_function", FunctionName=ARN, account=OTHER))
    assert error.code == "AccessDeniedException"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"Principal": "nobody"},
            "The provided principal was invalid. Please check the principal and try again.",
        ),
        (
            {"Qualifier": "$LATEST"},
            "We currently do not support adding policies for $LATEST.",
        ),
        (
            {"Action": "lambda:GetFunction", "FunctionUrlAuthType": "NONE"},
            "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
        ),
    ],
    ids=["principal", "latest", "url"],
)
def test_what_cannot_be_a_permission_is_refused(given: dict[str, str], text: str) -> None:
    @told
    async def story(world: World) -> None:
        await make_function(world)
        assert await refusal(_allow(world, **given)) == ("InvalidParameterValueException", text)

    story()


@told
async def test_a_policy_may_grow_to_twenty_kilobytes(world: World) -> None:
    await make_function(world)
    error = None
    for number in range(200):
        try:
            await _allow(world, StatementId=f"s{number}", SourceArn=BUCKET)
        except Exception as refusal:
            error = refusal
            break
    got = await world.call("lambda", "get_policy", FunctionName="f")
    assert len(got["Policy"]) <= 20_480
    assert getattr(error, "code", "") == "PolicyLengthExceededException"
    assert "is bigger than the limit (20480)." in str(error)
