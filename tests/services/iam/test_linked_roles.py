"""Service-linked roles: who may have them, that nobody changes them, and when they go."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest

from doppio.services.iam.aws_managed import aws_managed
from doppio.services.iam.linked_services import linked_services
from doppio.services.iam.records import DeletionTask
from tests.services.crashes import Told, crash_everywhere
from tests.services.dynamodb.regions import make_global
from tests.services.iam.helpers import READ_ONLY, as_user, document, iam, role, trust, user
from tests.services.organizations.helpers import organization
from tests.services.world import ACCOUNT, World, refusal, refused, told

EVENTS = "apidestinations.events.amazonaws.com"
NAME = "AWSServiceRoleForAmazonEventBridgeApiDestinations"
ARN = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{EVENTS}/{NAME}"


async def linked(world: World, service: str = EVENTS, **more: Any) -> Any:
    """A service's role, as it was made."""
    made = await iam(world, "create_service_linked_role", AWSServiceName=service, **more)
    return made["Role"]


async def deleted(world: World, name: str = NAME) -> Any:
    """What has become of the deletion of a service's role."""
    task = await iam(world, "delete_service_linked_role", RoleName=name)
    await world.settle()
    return await iam(
        world, "get_service_linked_role_deletion_status", DeletionTaskId=task["DeletionTaskId"]
    )


async def destination(world: World, region: str) -> str:
    """An API destination, which needs the role."""
    connection = await world.call(
        "events", "create_connection", region=region, Name="kitchen", AuthorizationType="API_KEY",
        AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "k", "ApiKeyValue": "v"}},
    )  # fmt: skip
    made = await world.call(
        "events", "create_api_destination", region=region, Name="kitchen",
        ConnectionArn=connection["ConnectionArn"], HttpMethod="POST",
        InvocationEndpoint="https://kitchen.example/orders",
    )  # fmt: skip
    return str(made["ApiDestinationArn"])


def test_every_service_has_a_policy_that_aws_publishes() -> None:
    for service in linked_services().values():
        assert aws_managed()[service.policy_arn("aws")].path == "/aws-service-role/"


@told
async def test_a_services_role_has_its_name_its_path_its_trust_and_its_policy(world: World) -> None:
    made = await linked(world, Description="calls out")
    assert (made["RoleName"], made["Arn"], made["Description"]) == (NAME, ARN, "calls out")
    shown = (await iam(world, "get_role", RoleName=NAME))["Role"]
    statement = json.loads(unquote(shown["AssumeRolePolicyDocument"]))["Statement"][0]
    assert statement["Principal"] == {"Service": [EVENTS]}
    attached = await iam(world, "list_attached_role_policies", RoleName=NAME)
    assert attached["AttachedPolicies"][0]["PolicyArn"].endswith(
        "aws-service-role/AmazonEventBridgeApiDestinationsServiceRolePolicy"
    )


@told
async def test_the_service_and_nobody_else_acts_by_its_role(world: World) -> None:
    await linked(world)
    ctx = world.cloud.root_context(ACCOUNT)
    acting = await ctx.as_role(ARN, "apidestinations.events", source="arn:x", session="s")
    secret = {"Name": "events!connection/kitchen/1", "SecretString": "s"}
    assert "ARN" in await acting.call("secretsmanager", "create_secret", secret)
    error = await refused(acting.call("sqs", "create_queue", {"QueueName": "orders"}))
    assert error.code == "AccessDeniedException"
    with pytest.raises(Exception, match="not authorized"):
        await ctx.as_role(ARN, "sns", source="arn:x", session="s")


@told
async def test_a_second_role_takes_a_suffix_where_the_service_has_several(world: World) -> None:
    first = (await linked(world, "autoscaling.amazonaws.com"))["RoleName"]
    assert first == "AWSServiceRoleForAutoScaling"
    assert await refusal(linked(world, "autoscaling.amazonaws.com")) == (
        "InvalidInput",
        f"Service role name {first} has been taken in this account, please try a different suffix.",
    )
    second = await linked(world, "autoscaling.amazonaws.com", CustomSuffix="blue")
    assert second["RoleName"] == "AWSServiceRoleForAutoScaling_blue"
    assert await refusal(linked(world, CustomSuffix="blue")) == (
        "InvalidInput", f"Custom suffix is not allowed for {EVENTS}"
    )  # fmt: skip
    assert (await refused(linked(world, "teapot.amazonaws.com"))).code == "InvalidInput"


@pytest.mark.parametrize(
    ("method", "req"),
    [
        ("delete_role", {}),
        ("update_role", {"MaxSessionDuration": 7200}),
        ("update_assume_role_policy", {"PolicyDocument": trust({"AWS": ACCOUNT})}),
        ("put_role_policy", {"PolicyName": "p", "PolicyDocument": document("*")}),
        ("delete_role_policy", {"PolicyName": "p"}),
        ("attach_role_policy", {"PolicyArn": READ_ONLY}),
        ("detach_role_policy", {"PolicyArn": READ_ONLY}),
        ("put_role_permissions_boundary", {"PermissionsBoundary": READ_ONLY}),
        ("delete_role_permissions_boundary", {}),
        ("add_role_to_instance_profile", {"InstanceProfileName": "machine"}),
    ],
)
def test_a_services_role_is_changed_by_nobody(method: str, req: dict[str, Any]) -> None:
    @told
    async def story(world: World) -> None:
        await linked(world)
        await iam(world, "create_instance_profile", InstanceProfileName="machine")
        error = await refused(iam(world, method, RoleName=NAME, **req))
        assert (error.code, error.status) == ("UnmodifiableEntity", 400)
        assert error.message == (
            f"Cannot perform the operation on the protected role '{NAME}' - this role is only "
            "modifiable by AWS"
        )

    story()


@told
async def test_its_description_and_its_tags_are_the_accounts_own(world: World) -> None:
    await linked(world)
    await iam(world, "update_role", RoleName=NAME, Description="calls out")
    await iam(world, "tag_role", RoleName=NAME, Tags=[{"Key": "team", "Value": "bar"}])
    shown = (await iam(world, "get_role", RoleName=NAME))["Role"]
    assert (shown["Description"], shown["Tags"][0]["Value"]) == ("calls out", "bar")


@told
async def test_nobody_makes_himself_such_a_role_by_hand(world: World) -> None:
    path = f"/aws-service-role/{EVENTS}/"
    error = await refused(role(world, "mine", Path=path))
    assert error.code == "InvalidInput"
    await role(world)
    policy = "arn:aws:iam::aws:policy/aws-service-role/AutoScalingServiceRolePolicy"
    assert await refusal(
        iam(world, "attach_role_policy", RoleName="brewing", PolicyArn=policy)
    ) == ("PolicyNotAttachable", "Cannot attach a Service Role Policy to a Customer Role.")


@told
async def test_a_deletion_that_has_not_ended_is_the_answer_to_the_next(world: World) -> None:
    await linked(world)
    under_way = DeletionTask(
        account=ACCOUNT, role=NAME, id=f"task/aws-service-role/{EVENTS}/{NAME}/{UUID(int=1)}",
        started_at=world.now,
    )  # fmt: skip
    async with world.cloud.root_context().write() as tx:
        tx.put(under_way)
    again = (await iam(world, "delete_service_linked_role", RoleName=NAME))["DeletionTaskId"]
    status = await iam(world, "get_service_linked_role_deletion_status", DeletionTaskId=again)
    assert (again, status) == (under_way.id, {"Status": "IN_PROGRESS"})


@told
async def test_a_role_that_nothing_uses_is_deleted_with_its_policy(world: World) -> None:
    await linked(world)
    task = (await iam(world, "delete_service_linked_role", RoleName=NAME))["DeletionTaskId"]
    assert task.startswith(f"task/aws-service-role/{EVENTS}/{NAME}/")
    await world.settle()
    status = await iam(world, "get_service_linked_role_deletion_status", DeletionTaskId=task)
    assert status == {"Status": "SUCCEEDED"}
    assert (await refused(iam(world, "get_role", RoleName=NAME))).code == "NoSuchEntity"
    await linked(world)


@told
async def test_a_role_that_is_in_use_stays_and_the_task_says_where(world: World) -> None:
    await linked(world)
    arn = await destination(world, "eu-west-1")
    status = await deleted(world)
    assert status["Status"] == "FAILED"
    assert "in use" in status["Reason"]["Reason"]
    assert status["Reason"]["RoleUsageList"] == [{"Region": "eu-west-1", "Resources": [arn]}]
    assert (await iam(world, "get_role", RoleName=NAME))["Role"]["RoleName"] == NAME
    await world.call("events", "delete_api_destination", region="eu-west-1", Name="kitchen")
    assert (await deleted(world))["Status"] == "SUCCEEDED"


@told
async def test_tables_with_replicas_hold_their_role_back(world: World) -> None:
    made = await linked(world, "replication.dynamodb.amazonaws.com")
    await make_global(world, "eu-west-1")
    status = await deleted(world, made["RoleName"])
    used = {one["Region"]: one["Resources"] for one in status["Reason"]["RoleUsageList"]}
    assert used == {
        region: [f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/orders"]
        for region in ("us-east-1", "eu-west-1")
    }


@told
async def test_keys_of_many_regions_and_membership_hold_their_roles_back(world: World) -> None:
    keys = await linked(world, "mrk.kms.amazonaws.com")
    made = await world.call("kms", "create_key", region="eu-west-1", MultiRegion=True)
    status = await deleted(world, keys["RoleName"])
    assert status["Reason"]["RoleUsageList"] == [
        {"Region": "eu-west-1", "Resources": [made["KeyMetadata"]["Arn"]]}
    ]
    await organization(world)
    status = await deleted(world, "AWSServiceRoleForOrganizations")
    assert status["Status"] == "FAILED"
    await world.call("organizations", "delete_organization")
    assert (await deleted(world, "AWSServiceRoleForOrganizations"))["Status"] == "SUCCEEDED"


@told
async def test_only_services_roles_are_deleted_so_and_tasks_are_known_by_their_ids(
    world: World,
) -> None:
    await role(world)
    for name in ("brewing", "nobody"):
        error = await refused(iam(world, "delete_service_linked_role", RoleName=name))
        assert error.code == "NoSuchEntity"
    ask = "get_service_linked_role_deletion_status"
    assert (await refused(iam(world, ask, DeletionTaskId="task/x"))).code == "InvalidInput"
    unknown = f"task/aws-service-role/{EVENTS}/{NAME}/{'0' * 8}-0000-0000-0000-{'0' * 12}"
    assert (await refused(iam(world, ask, DeletionTaskId=unknown))).code == "NoSuchEntity"


@told
async def test_who_may_make_a_services_role_is_asked_with_the_service(world: World) -> None:
    await user(
        world, "barista",
        document(
            "iam:CreateServiceLinkedRole", resource=f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/*",
            Condition={"StringEquals": {"iam:AWSServiceName": EVENTS}},
        ),
    )  # fmt: skip
    barista = await as_user(world)
    made = await world.call(
        "iam", "create_service_linked_role", caller=barista, AWSServiceName=EVENTS
    )
    assert made["Role"]["Arn"] == ARN
    error = await refused(
        world.call("iam", "create_service_linked_role", caller=barista, AWSServiceName="dax.amazonaws.com")
    )  # fmt: skip
    assert error.code == "AccessDeniedException"
    assert "role/aws-service-role/dax.amazonaws.com/AWSServiceRoleForDAX" in error.message


def test_a_crash_leaves_the_role_or_takes_it_whole() -> None:
    async def prepare(world: World, known: Told) -> None:
        await linked(world)

    async def work(world: World, known: Told) -> None:
        known["task"] = await iam(world, "delete_service_linked_role", RoleName=NAME)
        await world.settle()

    async def check(world: World, known: Told) -> None:
        if "task" not in known:
            assert (await iam(world, "get_role", RoleName=NAME))["Role"]["RoleName"] == NAME
            return
        status = await iam(world, "get_service_linked_role_deletion_status", **known["task"])
        assert status == {"Status": "SUCCEEDED"}
        assert (await refused(iam(world, "get_role", RoleName=NAME))).code == "NoSuchEntity"

    assert crash_everywhere(prepare, work, check) >= 2
