"""Replicas: the same secret in other Regions and accounts, in step with its primary."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from doppio.kernel.guardrails import Place, put_place
from doppio.kernel.identity import root_of
from doppio.services.secretsmanager.access import again, by_arn
from doppio.services.secretsmanager.replication import copied, passed_on
from doppio.services.secretsmanager.sealing import Value, sealed
from doppio.services.secretsmanager.values import keep
from tests.services.kms.helpers import allow, key, user
from tests.services.secretsmanager.test_secretsmanager import secret, value
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, told

THERE = "eu-west-1"
FAR = "ap-southeast-2"


async def described(world: World, name: str = "till", **more: Any) -> Any:
    """What a secret says of itself."""
    return await world.call("secretsmanager", "describe_secret", SecretId=name, **more)


async def spread(world: World, *regions: str, **req: Any) -> Any:
    """Replicate the till's secret."""
    added = [{"Region": region} for region in regions]
    return await world.call(
        "secretsmanager",
        "replicate_secret_to_regions",
        SecretId="till",
        AddReplicaRegions=added,
        **req,
    )


@told
async def test_a_replica_has_what_its_primary_has(world: World) -> None:
    made = await secret(
        world,
        AddReplicaRegions=[{"Region": THERE}],
        Tags=[{"Key": "a", "Value": "b"}],
        Description="till",
    )
    assert [one["Status"] for one in made["ReplicationStatus"]] == ["InSync"]
    twin = await described(world, region=THERE)
    assert twin["ARN"] == made["ARN"].replace(REGION, THERE)
    assert (twin["PrimaryRegion"], twin["Tags"]) == (REGION, [{"Key": "a", "Value": "b"}])
    assert await value(world, region=THERE) == "1234"
    await world.call("secretsmanager", "put_secret_value", SecretId="till", SecretString="5678")
    assert await value(world, region=THERE) == "5678"
    assert await value(world, region=THERE, VersionStage="AWSPREVIOUS") == "1234"
    labels = (await described(world))["VersionIdsToStages"]
    assert (await described(world, region=THERE))["VersionIdsToStages"] == labels
    old, new = sorted(labels, key=lambda one: "AWSCURRENT" in labels[one])
    await world.call(
        "secretsmanager", "update_secret_version_stage", SecretId="till",
        VersionStage="AWSCURRENT", MoveToVersionId=old, RemoveFromVersionId=new,
    )  # fmt: skip
    assert await value(world, region=THERE) == "1234"
    await world.call(
        "secretsmanager", "update_secret", SecretId="till", Description="new", SecretString="9"
    )
    twin = await described(world, region=THERE)
    assert (twin["Description"], await value(world, region=THERE)) == ("new", "9")
    await world.call("secretsmanager", "untag_resource", SecretId="till", TagKeys=["a"])
    assert "Tags" not in await described(world, region=THERE)
    await spread(world, FAR)
    assert await value(world, region=FAR) == "9"
    found = (await described(world))["ReplicationStatus"]
    assert [(one["Region"], one["Status"]) for one in found] == [
        (THERE, "InSync"),
        (FAR, "InSync"),
    ]


@told
async def test_a_replica_is_changed_by_its_primary_alone(world: World) -> None:
    await secret(world, AddReplicaRegions=[{"Region": THERE}])
    text = (
        "Operation not permitted on a replica secret. Call must be made in primary secret's region."
    )
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    for method, req in (
        ("put_secret_value", {"SecretString": "x"}),
        ("update_secret", {"Description": "x"}),
        ("delete_secret", {}),
        ("tag_resource", {"Tags": [{"Key": "a", "Value": "b"}]}),
        ("untag_resource", {"TagKeys": ["a"]}),
        ("delete_resource_policy", {}),
        ("rotate_secret", {"RotationLambdaARN": f"arn:aws:lambda:{THERE}:{ACCOUNT}:function:f"}),
        ("replicate_secret_to_regions", {"AddReplicaRegions": [{"Region": FAR}]}),
        ("remove_regions_from_replication", {"RemoveReplicaRegions": [FAR]}),
    ):
        call = world.call("secretsmanager", method, SecretId="till", region=THERE, **req)
        assert await refusal(call) == ("InvalidRequestException", text), method
    del policy
    gone = world.call("secretsmanager", "delete_secret", SecretId="till")
    assert (await refusal(gone))[0] == "InvalidRequestException"


@told
async def test_a_name_that_is_taken_is_not_overwritten_unless_asked(world: World) -> None:
    await secret(world)
    await world.call(
        "secretsmanager", "create_secret", Name="till", SecretString="theirs", region=THERE
    )
    [status] = (await spread(world, THERE))["ReplicationStatus"]
    assert status["Status"] == "Failed"
    assert status["StatusMessage"] == (
        f"Replication failed: Secret name till already exists in region {THERE}."
    )
    assert await value(world, region=THERE) == "theirs"
    [status] = (await spread(world, THERE, ForceOverwriteReplicaSecret=True))["ReplicationStatus"]
    assert status["Status"] == "InSync"
    assert await value(world, region=THERE) == "1234"
    for regions in ((REGION,), ("moon-1",), (FAR, FAR)):
        assert (await refusal(spread(world, *regions)))[0] == "InvalidParameterException"


@told
async def test_replicas_are_let_go_or_removed(world: World) -> None:
    await secret(world, AddReplicaRegions=[{"Region": THERE}, {"Region": FAR}])
    await world.call("secretsmanager", "stop_replication_to_replica", SecretId="till", region=THERE)
    await world.call("secretsmanager", "put_secret_value", SecretId="till", SecretString="5678")
    assert await value(world, region=THERE) == "1234"
    await world.call(
        "secretsmanager", "put_secret_value", SecretId="till", SecretString="own", region=THERE
    )
    assert [one["Region"] for one in (await described(world))["ReplicationStatus"]] == [FAR]
    unknown = world.call(
        "secretsmanager", "remove_regions_from_replication", SecretId="till",
        RemoveReplicaRegions=[THERE],
    )  # fmt: skip
    assert (await refusal(unknown))[0] == "InvalidParameterException"
    left = await world.call(
        "secretsmanager", "remove_regions_from_replication", SecretId="till",
        RemoveReplicaRegions=[FAR],
    )  # fmt: skip
    assert left["ReplicationStatus"] == []
    assert (await refusal(value(world, region=FAR)))[0] == "ResourceNotFoundException"
    stop = world.call("secretsmanager", "stop_replication_to_replica", SecretId="till")
    assert (await refusal(stop))[0] == "InvalidRequestException"
    await world.call("secretsmanager", "delete_secret", SecretId="till")


@told
async def test_a_key_that_says_no_leaves_the_replica_as_it_was(world: World) -> None:
    there = (await world.call("kms", "create_key", region=THERE))["KeyMetadata"]["KeyId"]
    await secret(world, AddReplicaRegions=[{"Region": THERE, "KmsKeyId": there}])
    await world.call("kms", "disable_key", KeyId=there, region=THERE)
    await world.call("secretsmanager", "put_secret_value", SecretId="till", SecretString="5678")
    [status] = (await described(world))["ReplicationStatus"]
    assert (status["Status"], status["KmsKeyId"]) == ("Failed", there)
    await world.call("kms", "enable_key", KeyId=there, region=THERE)
    assert await value(world, region=THERE) == "1234"
    [status] = (await spread(world, THERE))["ReplicationStatus"]
    assert status["Status"] == "InSync"
    assert await value(world, region=THERE) == "5678"


@told
async def test_a_policy_says_where_replicas_may_be(world: World) -> None:
    await secret(world)
    near = {"ForAllValues:StringEquals": {"secretsmanager:AddReplicaRegions": THERE}}
    ann = await user(
        world,
        "ann",
        allow("secretsmanager:ReplicateSecretToRegions", Condition=near),
        allow("kms:*"),
    )
    assert (await refusal(spread(world, FAR, caller=ann)))[0] == "AccessDeniedException"
    [status] = (await spread(world, THERE, caller=ann))["ReplicationStatus"]
    assert status["Status"] == "InSync"


async def _abroad(world: World, primary: str) -> tuple[str, str]:
    """A replica in another account that lets itself be written; its ARN, and its key's."""
    let = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                allow("kms:*", Principal={"AWS": f"arn:aws:iam::{OTHER}:root"}),
                allow(["kms:Encrypt", "kms:GenerateDataKey"], Principal=let),  # type: ignore[arg-type]
            ],
        }
    )
    made = await key(world, account=OTHER, Policy=policy)
    replica = await world.call(
        "secretsmanager", "create_secret", Name="copy", KmsKeyId=made["Arn"], account=OTHER,
        CrossAccountPrimaryARN=primary,
    )  # fmt: skip
    statement = allow("secretsmanager:AcceptCrossAccountReplication", Principal=let)
    await world.call(
        "secretsmanager", "put_resource_policy", SecretId="copy", account=OTHER,
        ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )  # fmt: skip
    return replica["ARN"], made["Arn"]


@told
async def test_a_secret_is_replicated_to_another_account(world: World) -> None:
    made = await secret(world)
    replica, _ = await _abroad(world, made["ARN"])
    twin = await described(world, "copy", account=OTHER)
    assert twin["CrossAccountPrimary"]["ReplicationStatus"] == "Pending"
    asked = {"SecretId": "till", "CrossAccountReplicaARN": replica}
    alone = world.call("secretsmanager", "associate_cross_account_replica", **asked)
    assert (await refusal(alone))[0] == "InvalidRequestException"
    context = world.cloud.context(
        root_of(ACCOUNT), account=ACCOUNT, region=REGION, request_id="organize"
    )
    async with context.write() as tx:
        for account in (ACCOUNT, OTHER):
            put_place(
                tx,
                Place(account=account, organization="o-1", path=("r-1", account), master=ACCOUNT),
            )
    found = await world.call("secretsmanager", "associate_cross_account_replica", **asked)
    assert found["ReplicationStatus"] == "InSync"
    assert await value(world, "copy", account=OTHER) == "1234"
    await world.call("secretsmanager", "put_secret_value", SecretId="till", SecretString="5678")
    assert await value(world, "copy", account=OTHER) == "5678"
    told_of = (await described(world))["CrossAccountReplicas"]
    assert told_of == [{"ReplicaSecretARN": replica, "ReplicationStatus": "InSync"}]
    gone = world.call("secretsmanager", "delete_secret", SecretId="till")
    assert (await refusal(gone))[0] == "InvalidRequestException"
    await world.call("secretsmanager", "disassociate_cross_account_replica", **asked)
    await world.call("secretsmanager", "put_secret_value", SecretId="till", SecretString="9")
    assert await value(world, "copy", account=OTHER) == "5678"
    twin = await described(world, "copy", account=OTHER)
    assert twin["CrossAccountPrimary"]["ReplicationStatus"] == "Detached"
    await world.call(
        "secretsmanager", "stop_replication_to_replica", SecretId="copy", account=OTHER
    )
    twin = await described(world, "copy", account=OTHER)
    assert "CrossAccountPrimary" not in twin
    policy = await world.call(
        "secretsmanager", "get_resource_policy", SecretId="copy", account=OTHER
    )
    assert "ResourcePolicy" not in policy


@told
async def test_nobody_is_replicated_to_against_his_will(world: World) -> None:
    made = await secret(world)
    replica, arn = await _abroad(world, made["ARN"])
    await world.call("secretsmanager", "delete_resource_policy", SecretId="copy", account=OTHER)
    asked = {
        "SecretId": "till",
        "CrossAccountReplicaARN": replica,
        "ReplicaRestriction": "NoRestriction",
    }
    call = world.call("secretsmanager", "associate_cross_account_replica", **asked)
    assert (await refusal(call))[0] == "AccessDeniedException"
    for req, code in (
        ({"CrossAccountPrimaryARN": made["ARN"]}, "InvalidParameterException"),
        (
            {"CrossAccountPrimaryARN": made["ARN"], "KmsKeyId": arn, "SecretString": "x"},
            "InvalidParameterException",
        ),
        (
            {"CrossAccountPrimaryARN": made["ARN"].replace(REGION, THERE), "KmsKeyId": arn},
            "InvalidParameterException",
        ),
    ):
        call = world.call("secretsmanager", "create_secret", Name="b", account=OTHER, **req)
        assert (await refusal(call))[0] == code


@told
async def test_replicas_outlive_a_crash(world: World) -> None:
    await secret(world, AddReplicaRegions=[{"Region": THERE}])
    after = world.again()
    await after.start()
    assert await value(after, region=THERE) == "1234"
    await after.call("secretsmanager", "put_secret_value", SecretId="till", SecretString="5678")
    assert await value(after, region=THERE) == "5678"
    await after.close()


@told
async def test_the_policies_of_a_secret_are_named(world: World) -> None:
    await secret(world)
    listed = await world.call("secretsmanager", "list_resource_policies", SecretId="till")
    assert listed["ResourcePolicies"] == []
    statement = allow("secretsmanager:GetSecretValue", Principal={"AWS": OTHER})
    await world.call(
        "secretsmanager", "put_resource_policy", SecretId="till",
        ResourcePolicy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )  # fmt: skip
    listed = await world.call("secretsmanager", "list_resource_policies", SecretId="till")
    assert listed["ResourcePolicies"] == [{"PolicyName": "default"}]
    forged = world.call(
        "secretsmanager", "list_resource_policies", SecretId="till", NextToken="forged"
    )
    assert (await refusal(forged))[0] == "InvalidNextTokenException"


@told
async def test_a_value_that_comes_while_a_replica_is_made_is_not_missed(world: World) -> None:
    await secret(world)

    async def puts() -> None:
        for number in range(5):
            await world.call(
                "secretsmanager", "put_secret_value", SecretId="till", SecretString=str(number)
            )

    await asyncio.gather(spread(world, THERE), puts(), spread(world, FAR))
    found = (await described(world))["ReplicationStatus"]
    assert [one["Status"] for one in found] == ["InSync", "InSync"]
    for region in (THERE, FAR):
        assert await value(world, region=region) == "4"
        assert await value(world, region=region, VersionStage="AWSPREVIOUS") == "3"


@told
async def test_a_replica_never_has_a_label_without_its_version(world: World) -> None:
    made = await secret(world, AddReplicaRegions=[{"Region": THERE}])
    context = world.cloud.context(root_of(ACCOUNT), account=ACCOUNT, region=REGION, request_id="x")
    seen = await by_arn(context.read(), made["ARN"])
    assert seen is not None
    stale = await copied(context, seen)
    fresh = await sealed(context, seen, "f" * 32, Value(b"5678", False))
    # A value comes of which those who copy have not known.
    async with context.write() as tx:
        changed = await keep(
            tx, await again(tx, seen), fresh, Value(b"5678", False), ["AWSCURRENT"]
        )
        changed = await passed_on(tx, changed, stale)
        tx.put(changed)
    assert [one.status for one in changed.replicas] == ["InProgress"]
    assert await value(world, region=THERE) == "1234"
    [status] = (await spread(world, THERE))["ReplicationStatus"]
    assert status["Status"] == "InSync"
    assert await value(world, region=THERE) == "5678"
