"""What each operation needs permission for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel.policy.reference import known_action
from doppio.services.lambda_.permissions import needs
from doppio.services.lambda_.service import SERVICE
from doppio.wire import model
from tests.services.lambda_.base import ROLE, make_function, zipped
from tests.services.world import ACCOUNT, REGION, World, refused, told

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
SAMPLES: dict[str, Any] = {
    "FunctionName": "f", "Name": "live", "Qualifier": "live", "Resource": ARN, "Role": ROLE,
    "LayerName": "l", "VersionNumber": 1, "Arn": f"{ARN.replace(':function:f', ':layer:l')}:1",
    "UUID": "00000000-0000-4000-8000-000000000000", "StatementId": "s",
}  # fmt: skip


def _sample(operation: str) -> dict[str, Any]:
    shape = model.load("lambda").by_method[operation].input
    assert shape is not None
    return {name: SAMPLES[name] for name in shape.members if name in SAMPLES}


@pytest.mark.parametrize("method", sorted(SERVICE.operations))
def test_each_operation_needs_an_action_that_aws_has_on_a_resource_that_it_knows(
    method: str,
) -> None:
    @told
    async def story(world: World) -> None:
        await make_function(world)
        root = await world.who({"AccessKeyId": "test"})
        ctx = world.cloud.context(root, account=ACCOUNT, region=REGION, request_id="r")
        operation = model.load("lambda").by_method[method].name
        found = needs(ctx, operation, _sample(method))
        action = known_action(found[0].action)
        assert action is not None, found[0].action
        assert (found[0].resource == "*") == (not action.types), found[0]

    story()


@told
async def test_who_may_make_functions_must_also_be_allowed_to_pass_the_role(world: World) -> None:
    await make_function(world)
    await world.call("iam", "create_user", UserName="u")
    key = (await world.call("iam", "create_access_key", UserName="u"))["AccessKey"]
    user = await world.who(key)
    given = {
        "FunctionName": "g", "Runtime": "python3.13", "Handler": "a.b", "Role": ROLE,
        "Code": {"ZipFile": zipped()},
    }  # fmt: skip
    statements = [{"Effect": "Allow", "Action": "lambda:CreateFunction", "Resource": "*"}]
    for action in ("lambda:CreateFunction", "iam:PassRole"):
        error = await refused(world.call("lambda", "create_function", caller=user, **given))
        assert (error.code, action in error.message) == ("AccessDeniedException", True)
        await world.call(
            "iam", "put_user_policy", UserName="u", PolicyName="p",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )  # fmt: skip
        user = await world.who(key)
        statements.append({
            "Effect": "Allow", "Action": "iam:PassRole", "Resource": ROLE,
            "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
        })  # fmt: skip
    made = await world.call("lambda", "create_function", caller=user, **given)
    assert made["FunctionName"] == "g"


@told
async def test_a_policy_may_ask_for_a_function_s_tags(world: World) -> None:
    await make_function(world, Tags={"team": "bar"})
    await make_function(world, "g", Tags={"team": "kitchen"})
    await world.call("iam", "create_user", UserName="u")
    statement = {
        "Effect": "Allow", "Action": "lambda:*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "bar"}},
    }  # fmt: skip
    await world.call(
        "iam", "put_user_policy", UserName="u", PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )  # fmt: skip
    key = (await world.call("iam", "create_access_key", UserName="u"))["AccessKey"]
    user = await world.who(key)
    await world.call("lambda", "get_function", FunctionName="f", caller=user)
    error = await refused(world.call("lambda", "get_function", FunctionName="g", caller=user))
    assert error.code == "AccessDeniedException"
