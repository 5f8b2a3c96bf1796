"""AssumeRoot: a member's root user, for one task at a time, by who looks after the organisation."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.guardrails import Guardrail, Place, put_guardrail, put_place
from doppio.kernel.identity import Caller
from doppio.services.iam.records import RootFeatures
from tests.services.iam.helpers import document, user
from tests.services.sts.test_chains import assume, role
from tests.services.world import ACCOUNT, OTHER, World, refusal, refused, told

STRANGER = "333333333333"
ORG = "o-cafe123456"
TASKS = "arn:aws:iam::aws:policy/root-task/"
DENY_ALL = document("*", effect="Deny", Principal="*")


async def organise(world: World, *features: str) -> None:
    """An organisation of two accounts, with these features; a third account is on its own."""
    async with world.cloud.root_context(ACCOUNT).write() as tx:
        for account in (ACCOUNT, OTHER):
            place = Place(
                account=account, organization=ORG, path=("r-cafe", account), master=ACCOUNT,
                management=account == ACCOUNT,
            )  # fmt: skip
            put_place(tx, place)
        tx.put(RootFeatures(organization=ORG, enabled=features))


async def keeper(world: World) -> Caller:
    """Somebody in the management account who may do anything."""
    return await user(world, "keeper", document("*"))


async def root(
    world: World, task: str, caller: Caller | None = None, target: str = OTHER, **more: Any
) -> Caller:
    """A member's root user on a task, as caller."""
    got = await world.call(
        "sts", "assume_root", caller=caller, TargetPrincipal=target,
        TaskPolicyArn={"arn": TASKS + task}, **more,
    )  # fmt: skip
    return await world.who(got["Credentials"])


async def denied(world: World, caller: Caller, service: str, method: str, **req: Any) -> None:
    """What the task does not have in it is refused by its policy."""
    error = await refused(world.call(service, method, caller=caller, **req))
    assert "with an explicit deny in a session policy" in error.message, error.message


@told
async def test_a_bucket_that_denies_everybody_is_unlocked_and_nothing_else_is_done(
    world: World,
) -> None:
    await organise(world, "RootSessions")
    barista = await world.call("iam", "create_user", account=OTHER, UserName="barista")
    await world.call("s3", "create_bucket", account=OTHER, Bucket="menu")
    locked = DENY_ALL.replace('"*", "Pr', '["arn:aws:s3:::menu", "arn:aws:s3:::menu/*"], "Pr')
    await world.call("s3", "put_bucket_policy", account=OTHER, Bucket="menu", Policy=locked)
    assert barista
    acting = await root(world, "S3UnlockBucketPolicy", await keeper(world))
    who = await world.call("sts", "get_caller_identity", caller=acting)
    assert (who["Account"], who["Arn"]) == (OTHER, f"arn:aws:iam::{OTHER}:root")
    assert (await world.call("s3", "get_bucket_policy", caller=acting, Bucket="menu"))["Policy"]
    await world.call("s3", "delete_bucket_policy", caller=acting, Bucket="menu")
    await denied(world, acting, "s3", "delete_bucket", Bucket="menu")
    await denied(world, acting, "sqs", "create_queue", QueueName="orders")
    await denied(world, acting, "iam", "list_users")
    await denied(world, acting, "s3", "list_objects_v2", Bucket="menu")


@told
async def test_a_queue_that_denies_everybody_is_unlocked(world: World) -> None:
    await organise(world, "RootSessions")
    url = (await world.call("sqs", "create_queue", account=OTHER, QueueName="orders"))["QueueUrl"]
    await world.call(
        "sqs", "set_queue_attributes", account=OTHER, QueueUrl=url, Attributes={"Policy": DENY_ALL}
    )
    acting = await root(world, "SQSUnlockQueuePolicy", await keeper(world))
    await world.call(
        "sqs", "set_queue_attributes", caller=acting, QueueUrl=url, Attributes={"Policy": ""}
    )
    await denied(world, acting, "sqs", "send_message", QueueUrl=url, MessageBody="espresso")
    await world.call("sqs", "send_message", account=OTHER, QueueUrl=url, MessageBody="espresso")


@told
async def test_the_owner_can_unlock_what_denies_everybody_and_others_cannot(world: World) -> None:
    await world.call("s3", "create_bucket", Bucket="menu")
    locked = document("s3:*", effect="Deny", resource="arn:aws:s3:::menu", Principal={"AWS": "*"})
    await world.call("s3", "put_bucket_policy", Bucket="menu", Policy=locked)
    for caller in (await keeper(world), None):
        account = OTHER if caller is None else ACCOUNT
        for method in ("get_bucket_policy", "delete_bucket_policy"):
            call = world.call("s3", method, caller=caller, account=account, Bucket="menu")
            assert (await refused(call)).code == "AccessDeniedException"
    assert (
        await refused(world.call("s3", "delete_bucket", Bucket="menu"))
    ).code == "AccessDeniedException"
    await world.call("s3", "delete_bucket_policy", Bucket="menu")
    await world.call("s3", "delete_bucket", Bucket="menu")


@told
async def test_root_credentials_are_audited_and_taken_away(world: World) -> None:
    await organise(world, "RootCredentialsManagement")
    boss = await keeper(world)
    key, _ = await world.cloud.identities.root_key(OTHER)
    device = await world.call(
        "iam", "create_virtual_mfa_device", account=OTHER, VirtualMFADeviceName="phone"
    )
    await world.call("iam", "create_user", account=OTHER, UserName="barista")
    audit = await root(world, "IAMAuditRootUserCredentials", boss)
    listed = await world.call("iam", "list_access_keys", caller=audit)
    assert [one["AccessKeyId"] for one in listed["AccessKeyMetadata"]] == [key]
    assert (await world.call("iam", "get_user", caller=audit))["User"]["Arn"].endswith(":root")
    assert "SummaryMap" in await world.call("iam", "get_account_summary", caller=audit)
    last = await world.call("iam", "get_access_key_last_used", caller=audit, AccessKeyId=key)
    assert last["AccessKeyLastUsed"]["ServiceName"] == "N/A"
    await denied(world, audit, "iam", "list_access_keys", UserName="barista")
    await denied(world, audit, "iam", "delete_access_key", AccessKeyId=key)
    removing = await root(world, "IAMDeleteRootUserCredentials", boss)
    await world.call("iam", "delete_access_key", caller=removing, AccessKeyId=key)
    serial = device["VirtualMFADevice"]["SerialNumber"]
    await world.call("iam", "delete_virtual_mfa_device", caller=removing, SerialNumber=serial)
    assert not (await world.call("iam", "list_mfa_devices", caller=removing))["MFADevices"]
    await denied(world, removing, "iam", "delete_user", UserName="barista")


@told
async def test_roots_password_may_be_recovered_and_taken_away(world: World) -> None:
    await organise(world, "RootCredentialsManagement")
    boss = await keeper(world)
    giving = await root(world, "IAMCreateRootUserPassword", boss)
    error = await refused(
        world.call("iam", "create_login_profile", caller=giving, Password="Espresso-2-go!")
    )
    assert error.code == "ValidationError"
    assert (await refused(world.call("iam", "get_login_profile", caller=giving))).status == 404
    await world.call("iam", "create_login_profile", caller=giving)
    assert await world.call("iam", "get_login_profile", caller=giving)
    again = await refused(world.call("iam", "create_login_profile", caller=giving))
    assert again.code == "EntityAlreadyExists"
    await denied(world, giving, "iam", "delete_login_profile")
    removing = await root(world, "IAMDeleteRootUserCredentials", boss)
    await world.call("iam", "delete_login_profile", caller=removing)
    assert (await refused(world.call("iam", "get_login_profile", caller=removing))).status == 404


@told
async def test_what_only_root_may_unlock_is_no_way_round_a_task(world: World) -> None:
    await organise(world, "RootSessions")
    made = await world.call(
        "dynamodb", "create_table", account=OTHER, TableName="orders",
        BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )  # fmt: skip
    arn = made["TableDescription"]["TableArn"]
    await world.settle()
    await world.call(
        "dynamodb", "put_resource_policy", account=OTHER, ResourceArn=arn,
        ConfirmRemoveSelfResourceAccess=True,
        Policy=document("dynamodb:*", effect="Deny", resource=arn, Principal="*"),
    )  # fmt: skip
    acting = await root(world, "S3UnlockBucketPolicy", await keeper(world))
    await denied(world, acting, "dynamodb", "delete_resource_policy", ResourceArn=arn)
    await world.call("dynamodb", "delete_resource_policy", account=OTHER, ResourceArn=arn)


@told
async def test_a_task_lasts_a_quarter_of_an_hour_at_most(world: World) -> None:
    await organise(world, "RootSessions")
    boss = await keeper(world)
    task = {"arn": TASKS + "S3UnlockBucketPolicy"}
    asked = {"TargetPrincipal": OTHER, "TaskPolicyArn": task}
    got = await world.call("sts", "assume_root", caller=boss, **asked)
    assert (got["Credentials"]["Expiration"] - world.now).total_seconds() == 900
    await world.advance(900)
    assert (await refused(world.who(got["Credentials"]))).code == "ExpiredToken"
    error = await refused(
        world.call("sts", "assume_root", caller=boss, DurationSeconds=901, **asked)
    )
    assert error.code == "ValidationException"


@told
async def test_who_stands_behind_it_goes_with_it(world: World) -> None:
    await organise(world, "RootSessions")
    session = await assume(world, await role(world, "brewing"), SourceIdentity="alice")
    got = await world.call(
        "sts", "assume_root", caller=session, TargetPrincipal=f"arn:aws:iam::{OTHER}:root",
        TaskPolicyArn={"arn": TASKS + "S3UnlockBucketPolicy"},
    )  # fmt: skip
    assert got["SourceIdentity"] == "alice"
    acting = await world.who(got["Credentials"])
    assert acting.session["aws:sourceidentity"] == "alice"


@pytest.mark.parametrize(
    ("features", "task", "target"),
    [
        (("RootCredentialsManagement",), "S3UnlockBucketPolicy", OTHER),
        (("RootSessions",), "IAMAuditRootUserCredentials", OTHER),
        (("RootSessions",), "S3UnlockBucketPolicy", ACCOUNT),
        (("RootSessions",), "S3UnlockBucketPolicy", STRANGER),
    ],
)
def test_what_is_not_enabled_and_who_is_no_member_is_refused(
    features: tuple[str, ...], task: str, target: str
) -> None:
    @told
    async def story(world: World) -> None:
        await organise(world, *features)
        boss, arn = await keeper(world), f"arn:aws:iam::{target}:root"
        assert await refusal(root(world, task, boss, target)) == (
            "AccessDenied",
            f"User: {boss.arn} is not authorized to perform: sts:AssumeRoot on resource: {arn}",
        )

    story()


@told
async def test_neither_root_nor_a_stranger_nor_who_lacks_leave_becomes_a_members_root(
    world: World,
) -> None:
    await organise(world, "RootSessions")
    task = "S3UnlockBucketPolicy"
    key = await world.cloud.identities.root_key(ACCOUNT)
    own = await world.who({"AccessKeyId": key[0]})
    assert (await refusal(root(world, task, own)))[0] == "AccessDenied"
    arn = f"arn:aws:iam::{OTHER}:root"
    limited = await user(
        world, "limited",
        document("sts:AssumeRoot", resource=arn,
                 Condition={"StringEquals": {"sts:TaskPolicyArn": TASKS + "SQSUnlockQueuePolicy"}}),
    )  # fmt: skip
    assert (await refusal(root(world, task, limited)))[0] == "AccessDeniedException"
    assert await root(world, "SQSUnlockQueuePolicy", limited)
    boss = await keeper(world)
    assert (await refused(root(world, "AdministratorAccess", boss))).code == "ValidationError"
    assert (await refused(root(world, task, boss, "arn:aws:iam::x:root"))).code == "ValidationError"


@told
async def test_a_members_guardrails_bind_its_root_on_a_task_too(world: World) -> None:
    await organise(world, "RootSessions")
    await world.call("s3", "create_bucket", account=OTHER, Bucket="menu")
    acting = await root(world, "S3UnlockBucketPolicy", await keeper(world))
    assert await world.call("s3", "list_buckets", caller=acting)
    async with world.cloud.root_context(ACCOUNT).write() as tx:
        for target in ("r-cafe", OTHER):
            some = (("none", document("s3:*", effect="Deny")), ("all", document("*")))
            put_guardrail(tx, Guardrail(target=target, kind="scp", policies=some))
    error = await refused(world.call("s3", "list_buckets", caller=acting))
    assert "service control policy" in error.message


@told
async def test_a_guardrail_can_tell_a_task_from_root_himself(world: World) -> None:
    await organise(world, "RootSessions")
    acting = await root(world, "S3UnlockBucketPolicy", await keeper(world))
    conditions = {
        "Null": {"aws:AssumedRoot": "true"},
        "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:root"},
    }
    tasks_only = document("s3:*", effect="Deny", Condition=conditions)
    async with world.cloud.root_context(ACCOUNT).write() as tx:
        some = (("tasks", tasks_only), ("all", document("*")))
        for target in ("r-cafe", OTHER):
            put_guardrail(tx, Guardrail(target=target, kind="scp", policies=some))
    assert await world.call("s3", "list_buckets", caller=acting)
    assert (await refused(world.call("s3", "list_buckets", account=OTHER))).status == 403


@pytest.mark.parametrize(
    "method",
    [
        "enable_organizations_root_credentials_management",
        "disable_organizations_root_credentials_management",
        "enable_organizations_root_sessions",
        "disable_organizations_root_sessions",
        "list_organizations_features",
    ],
)
def test_an_account_on_its_own_has_no_members_to_look_after(method: str) -> None:
    @told
    async def story(world: World) -> None:
        error = await refused(world.call("iam", method))
        assert (error.code, error.status) == ("OrganizationNotFoundException", 400)

    story()
