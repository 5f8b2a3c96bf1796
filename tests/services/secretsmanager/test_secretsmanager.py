"""Secrets: kept, labelled, shared, and gone when their time is over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.services.secretsmanager.lists import passes
from doppio.services.secretsmanager.records import Secret
from tests.services.kms.helpers import allow, key, key_policy, user
from tests.services.world import ACCOUNT, OTHER, REGION, START, World, refusal, told

TOKEN = "a" * 32
OTHER_TOKEN = "b" * 32
GONE = "You can't perform this operation on the secret because it was marked for deletion."


async def secret(world: World, name: str = "till", **req: Any) -> dict[str, Any]:
    """Make a secret."""
    given = {"SecretString": "1234", **req}
    found: dict[str, Any] = await world.call(
        "secretsmanager", "create_secret", Name=name, **{k: v for k, v in given.items() if v}
    )
    return found


async def value(world: World, name: str = "till", **req: Any) -> Any:
    """The value of a secret."""
    found = await world.call("secretsmanager", "get_secret_value", SecretId=name, **req)
    return found.get("SecretString", found.get("SecretBinary"))


@told
async def test_a_secret_is_found_by_each_of_its_names(world: World) -> None:
    made = await secret(world, ClientRequestToken=TOKEN, Tags=[{"Key": "a", "Value": "b"}])
    base = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:till"
    assert made["ARN"].startswith(base + "-")
    assert made["VersionId"] == TOKEN
    for name in ("till", made["ARN"], base):
        assert await value(world, name) == "1234"
    described = await world.call("secretsmanager", "describe_secret", SecretId="till")
    assert described["VersionIdsToStages"] == {TOKEN: ["AWSCURRENT"]}
    assert described["Tags"] == [{"Key": "a", "Value": "b"}]
    assert described["LastAccessedDate"] == START
    assert await refusal(value(world, "none")) == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
    )


@told
async def test_values_lie_sealed_on_disk(world: World) -> None:
    await secret(world, SecretString="a very secret recipe")
    assert not [one for one in world.memory.disk.values() if b"secret recipe" in bytes(one or b"")]
    await secret(world, "binary", SecretString=None, SecretBinary=b"\0\1")
    assert await value(world, "binary") == b"\0\1"


@told
async def test_labels_move_with_new_versions(world: World) -> None:
    await secret(world, ClientRequestToken=TOKEN)
    put = {"SecretId": "till", "SecretString": "5678", "ClientRequestToken": OTHER_TOKEN}
    answer = await world.call("secretsmanager", "put_secret_value", **put)
    assert answer["VersionStages"] == ["AWSCURRENT"]
    assert await value(world) == "5678"
    assert await value(world, VersionStage="AWSPREVIOUS") == "1234"
    assert await value(world, VersionId=TOKEN) == "1234"
    assert await world.call("secretsmanager", "put_secret_value", **put) == answer
    other = world.call("secretsmanager", "put_secret_value", **{**put, "SecretString": "9"})
    assert (await refusal(other))[0] == "ResourceExistsException"
    pending = "c" * 32
    await world.call(
        "secretsmanager", "put_secret_value", SecretId="till", SecretString="new",
        ClientRequestToken=pending, VersionStages=["AWSPENDING"],
    )  # fmt: skip
    assert await value(world) == "5678"
    move = {"SecretId": "till", "VersionStage": "AWSCURRENT", "MoveToVersionId": pending}
    call = world.call("secretsmanager", "update_secret_version_stage", **move)
    code, text = await refusal(call)
    assert code == "InvalidParameterException"
    assert OTHER_TOKEN in text
    await world.call(
        "secretsmanager", "update_secret_version_stage", **move, RemoveFromVersionId=OTHER_TOKEN
    )
    assert await value(world) == "new"
    assert await value(world, VersionStage="AWSPREVIOUS") == "5678"
    listed = await world.call("secretsmanager", "list_secret_version_ids", SecretId="till")
    assert {one["VersionId"] for one in listed["Versions"]} == {pending, OTHER_TOKEN}
    listed = await world.call(
        "secretsmanager", "list_secret_version_ids", SecretId="till", IncludeDeprecated=True
    )
    assert {one["VersionId"] for one in listed["Versions"]} == {pending, OTHER_TOKEN, TOKEN}
    wrong = value(world, VersionId=TOKEN, VersionStage="AWSCURRENT")
    assert (await refusal(wrong))[0] == "InvalidRequestException"
    missing = value(world, VersionStage="none")
    assert (await refusal(missing))[1].endswith("for staging label: none")


@told
async def test_a_deleted_secret_can_come_back_until_its_time_is_over(world: World) -> None:
    made = await secret(world)
    gone = await world.call(
        "secretsmanager", "delete_secret", SecretId="till", RecoveryWindowInDays=7
    )
    assert (gone["DeletionDate"] - START).days == 7
    assert await refusal(value(world)) == ("InvalidRequestException", GONE)
    assert (await refusal(secret(world)))[1].endswith("already scheduled for deletion.")
    assert (await world.call("secretsmanager", "list_secrets"))["SecretList"] == []
    await world.advance(days=6)
    await world.call("secretsmanager", "restore_secret", SecretId="till")
    await world.advance(days=2)
    assert await value(world) == "1234"
    await world.call("secretsmanager", "delete_secret", SecretId="till", RecoveryWindowInDays=7)
    await world.advance(days=8)
    assert (await refusal(value(world)))[0] == "ResourceNotFoundException"
    again = await secret(world)
    assert again["ARN"] != made["ARN"]
    await world.call(
        "secretsmanager", "delete_secret", SecretId="till", ForceDeleteWithoutRecovery=True
    )
    assert (await refusal(value(world)))[0] == "ResourceNotFoundException"
    await world.call(
        "secretsmanager", "delete_secret", SecretId="till", ForceDeleteWithoutRecovery=True
    )
    for days in (6, 31):
        call = world.call(
            "secretsmanager", "delete_secret", SecretId="till", RecoveryWindowInDays=days
        )
        assert (await refusal(call))[0] == "InvalidParameterException"


@told
async def test_an_update_changes_what_it_names_and_seals_anew(world: World) -> None:
    await secret(world, Description="old")
    made = await key(world)
    await world.call("secretsmanager", "update_secret", SecretId="till", KmsKeyId=made["KeyId"])
    described = await world.call("secretsmanager", "describe_secret", SecretId="till")
    assert (described["Description"], described["KmsKeyId"]) == ("old", made["KeyId"])
    assert await value(world) == "1234"
    await world.call("kms", "disable_key", KeyId=made["KeyId"])
    assert (await refusal(value(world)))[0] == "DecryptionFailure"
    call = world.call("secretsmanager", "update_secret", SecretId="till", SecretString="x")
    assert (await refusal(call))[0] == "EncryptionFailure"


@told
async def test_only_who_may_reads_and_the_key_has_a_say(world: World) -> None:
    waiter = await user(world, "waiter")
    made = await key(world, Policy=key_policy())
    found = await secret(world, KmsKeyId=made["KeyId"])
    call = {"caller": waiter, "SecretId": "till"}
    get = ("secretsmanager", "get_secret_value")
    denied = await refusal(world.call(*get, **call))
    assert denied[0] == "AccessDeniedException"
    assert found["ARN"] in denied[1]
    document = {
        "Version": "2012-10-17",
        "Statement": [allow("secretsmanager:GetSecretValue", Principal={"AWS": waiter.arn})],
    }
    await world.call(
        "secretsmanager", "put_resource_policy", SecretId="till",
        ResourcePolicy=json.dumps(document),
    )  # fmt: skip
    assert await refusal(world.call(*get, **call)) == (
        "AccessDeniedException",
        "Access to KMS is not allowed",
    )
    await world.call(
        "kms", "create_grant", KeyId=made["KeyId"], GranteePrincipal=waiter.arn,
        Operations=["Decrypt"],
    )  # fmt: skip
    assert (await world.call(*get, **call))["SecretString"] == "1234"


@told
async def test_another_account_needs_the_policys_leave(world: World) -> None:
    made = await key(
        world,
        Policy=key_policy(allow("kms:Decrypt", Principal={"AWS": f"arn:aws:iam::{OTHER}:root"})),
    )
    found = await secret(world, KmsKeyId=made["Arn"])
    get = {"account": OTHER, "SecretId": found["ARN"]}
    call = world.call("secretsmanager", "get_secret_value", **get)
    assert (await refusal(call))[0] == "AccessDeniedException"
    statement = allow(
        "secretsmanager:GetSecretValue", Principal={"AWS": f"arn:aws:iam::{OTHER}:root"}
    )
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call(
        "secretsmanager", "put_resource_policy", SecretId="till", ResourcePolicy=document
    )
    answer = await world.call("secretsmanager", "get_secret_value", **get)
    assert answer["SecretString"] == "1234"
    await world.call("secretsmanager", "delete_resource_policy", SecretId="till")
    call = world.call("secretsmanager", "get_secret_value", **get)
    assert (await refusal(call))[0] == "AccessDeniedException"


@told
async def test_a_public_policy_is_blocked_and_told(world: World) -> None:
    await secret(world)
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [allow("secretsmanager:*", Principal="*")]}
    )
    put = {"SecretId": "till", "ResourcePolicy": document}
    call = world.call("secretsmanager", "put_resource_policy", **put, BlockPublicPolicy=True)
    assert (await refusal(call))[0] == "PublicPolicyException"
    told_ = await world.call("secretsmanager", "validate_resource_policy", **put)
    assert told_["PolicyValidationPassed"] is False
    broken = world.call(
        "secretsmanager", "put_resource_policy", SecretId="till", ResourcePolicy="{"
    )
    assert (await refusal(broken))[0] == "MalformedPolicyDocumentException"


@told
async def test_secrets_are_listed_by_filters_in_pages_and_orders(world: World) -> None:
    for number, name in enumerate(("shop/till", "shop/safe", "home/door")):
        await world.advance(seconds=1)
        await secret(
            world, name, Description=f"The {number} key", Tags=[{"Key": "n", "Value": name}]
        )
    names: list[str] = []
    more: dict[str, Any] = {}
    while True:
        page = await world.call(
            "secretsmanager", "list_secrets", MaxResults=1, SortOrder="asc", **more
        )
        names += [one["Name"] for one in page["SecretList"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert names == ["shop/till", "shop/safe", "home/door"]
    found = await world.call(
        "secretsmanager", "list_secrets", Filters=[{"Key": "name", "Values": ["shop"]}]
    )
    assert [one["Name"] for one in found["SecretList"]] == ["shop/safe", "shop/till"]
    wrong = world.call("secretsmanager", "list_secrets", NextToken="none")
    assert (await refusal(wrong))[0] == "InvalidNextTokenException"
    batch = await world.call(
        "secretsmanager", "batch_get_secret_value", SecretIdList=["shop/till", "none"]
    )
    assert [one["SecretString"] for one in batch["SecretValues"]] == ["1234"]
    assert [one["ErrorCode"] for one in batch["Errors"]] == ["ResourceNotFoundException"]


@pytest.mark.parametrize(
    ("kind", "values", "passed"),
    [
        ("name", ["shop"], True),
        ("name", ["till"], False),
        ("name", ["Shop"], False),
        ("name", ["!shop"], False),
        ("description", ["corner"], True),
        ("description", ["orner"], False),
        ("tag-key", ["roa"], True),
        ("tag-value", ["light", "dark"], True),
        ("all", ["DARK"], True),
        ("owning-service", ["rds"], False),
    ],
)
def test_a_filter_looks_where_it_says(kind: str, values: list[str], passed: bool) -> None:
    one = Secret(
        account=ACCOUNT, region=REGION, name="shop/till", suffix="abcdef", created_at=START,
        changed_at=START, description="The Corner shop", tags={"roast": "dark"},
    )  # fmt: skip
    assert passes(one, {"Key": kind, "Values": values}) is passed


@told
async def test_passwords_have_the_kinds_that_are_wanted(world: World) -> None:
    made = await world.call("secretsmanager", "get_random_password", PasswordLength=20)
    assert len(made["RandomPassword"]) == 20
    made = await world.call(
        "secretsmanager", "get_random_password", PasswordLength=4, ExcludePunctuation=True,
        ExcludeLowercase=True, IncludeSpace=True,
    )  # fmt: skip
    text = made["RandomPassword"]
    assert any(one.isdigit() for one in text)
    assert any(one.isupper() for one in text)
    assert " " in text
    assert not any(one.islower() for one in text)
    for wrong in ({"PasswordLength": 2}, {"ExcludeCharacters": "0123456789", **{
        f"Exclude{kind}": True for kind in ("Lowercase", "Uppercase", "Punctuation")
    }}):  # fmt: skip
        call = world.call("secretsmanager", "get_random_password", **wrong)
        assert (await refusal(call))[0] == "InvalidRequestException"


@told
async def test_what_cannot_be_is_refused(world: World) -> None:
    await secret(world)
    assert (await refusal(secret(world)))[0] == "ResourceExistsException"
    assert (await refusal(secret(world, "a b")))[0] == "ValidationException"
    both = secret(world, "other", SecretBinary=b"x")
    assert (await refusal(both))[0] == "InvalidParameterException"
    empty = world.call("secretsmanager", "put_secret_value", SecretId="till")
    assert (await refusal(empty))[0] == "InvalidRequestException"
    rotate = world.call("secretsmanager", "rotate_secret", SecretId="till")
    assert (await refusal(rotate))[0] == "InvalidRequestException"
    outside = world.call(
        "secretsmanager", "rotate_secret", SecretId="till",
        ExternalSecretRotationRoleArn=f"arn:aws:iam::{ACCOUNT}:role/partner",
    )  # fmt: skip
    assert (await refusal(outside))[0] == "NotImplemented"


@told
async def test_old_versions_without_a_label_go_when_there_are_many(world: World) -> None:
    await secret(world)
    for number in range(104):
        await world.call(
            "secretsmanager", "put_secret_value", SecretId="till", SecretString=str(number)
        )
    await world.advance(days=2)
    await world.call("secretsmanager", "put_secret_value", SecretId="till", SecretString="last")
    listed = await world.call(
        "secretsmanager", "list_secret_version_ids", SecretId="till", IncludeDeprecated=True,
        MaxResults=100,
    )  # fmt: skip
    assert len(listed["Versions"]) == 100
    assert "NextToken" not in listed


@told
async def test_a_crash_keeps_what_was_answered(world: World) -> None:
    made = await secret(world)
    again = world.again()
    await again.start()
    try:
        assert await value(again, made["ARN"]) == "1234"
    finally:
        await again.close()
