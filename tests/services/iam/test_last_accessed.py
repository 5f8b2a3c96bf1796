"""What may be used and what was: services by report, keys and roles by their last use."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.services.world import ACCOUNT, OTHER, START, World, refusal, refused, told

from .helpers import READ_ONLY, as_user, document, iam, role, user

BARISTA = f"arn:aws:iam::{ACCOUNT}:user/barista"


async def report(world: World, arn: str, **more: Any) -> str:
    """A report that was asked for; its job."""
    made = await iam(world, "generate_service_last_accessed_details", Arn=arn, **more)
    return str(made["JobId"])


async def services(world: World, job: str) -> dict[str, Any]:
    """A report's services, by namespace."""
    found = await iam(world, "get_service_last_accessed_details", JobId=job)
    assert found["JobStatus"] == "COMPLETED"
    return {one["ServiceNamespace"]: one for one in found["ServicesLastAccessed"]}


@told
async def test_a_report_tells_what_is_granted_and_what_of_it_was_used(world: World) -> None:
    barista = await user(world, "barista", document("sqs:*", "sns:Publish"))
    await world.advance(days=1)
    await world.call("sqs", "create_queue", caller=barista, QueueName="orders")
    await world.call("sqs", "list_queues", caller=barista)
    found = await services(world, await report(world, BARISTA))
    assert set(found) == {"sqs", "sns"}
    used, unused = found["sqs"], found["sns"]
    assert (used["ServiceName"], used["TotalAuthenticatedEntities"]) == ("Amazon SQS", 1)
    assert used["LastAuthenticated"] == START + timedelta(days=1)
    assert used["LastAuthenticatedEntity"] == BARISTA
    assert used["LastAuthenticatedRegion"] == "us-east-1"
    assert "TrackedActionsLastAccessed" not in used
    assert unused["TotalAuthenticatedEntities"] == 0
    assert "LastAuthenticated" not in unused
    closely = await services(world, await report(world, BARISTA, Granularity="ACTION_LEVEL"))
    assert [one["ActionName"] for one in closely["sqs"]["TrackedActionsLastAccessed"]] == [
        "CreateQueue", "ListQueues",
    ]  # fmt: skip


@told
async def test_a_report_on_a_group_or_policy_tells_who(world: World) -> None:
    barista = await user(world, "barista")
    await user(world, "cashier")
    await iam(world, "create_group", GroupName="staff")
    for name in ("barista", "cashier"):
        await iam(world, "add_user_to_group", GroupName="staff", UserName=name)
    await iam(world, "attach_group_policy", GroupName="staff", PolicyArn=READ_ONLY)
    barista = await as_user(world, "barista")
    await world.call("sqs", "list_queues", caller=barista)
    for arn in (f"arn:aws:iam::{ACCOUNT}:group/staff", READ_ONLY):
        job = await report(world, arn)
        assert (await services(world, job))["sqs"]["TotalAuthenticatedEntities"] == 1
        found = await iam(
            world, "get_service_last_accessed_details_with_entities", JobId=job,
            ServiceNamespace="sqs",
        )  # fmt: skip
        told_of = {one["EntityInfo"]["Name"]: one for one in found["EntityDetailsList"]}
        assert set(told_of) == {"barista", "cashier"}
        assert told_of["barista"]["LastAuthenticated"] == START
        assert "LastAuthenticated" not in told_of["cashier"]


@told
async def test_reports_go_after_a_week_and_uses_after_four_hundred_days(world: World) -> None:
    barista = await user(world, "barista", document("sqs:*"))
    await world.call("sqs", "list_queues", caller=barista)
    job = await report(world, BARISTA)
    await world.advance(days=8)
    code = await refused(iam(world, "get_service_last_accessed_details", JobId=job))
    assert code.code == "NoSuchEntity"
    await world.advance(days=400)
    found = await services(world, await report(world, BARISTA))
    assert found["sqs"]["TotalAuthenticatedEntities"] == 0
    nobody = f"arn:aws:iam::{ACCOUNT}:policy/none"
    assert (await refused(report(world, nobody))).code == "NoSuchEntity"


@told
async def test_the_policies_that_grant_a_service_are_named(world: World) -> None:
    await user(world, "barista", document("sqs:SendMessage"))
    await iam(world, "attach_user_policy", UserName="barista", PolicyArn=READ_ONLY)
    found = await iam(
        world, "list_policies_granting_service_access", Arn=BARISTA,
        ServiceNamespaces=["sqs", "s3"],
    )  # fmt: skip
    sqs, s3 = found["PoliciesGrantingServiceAccess"]
    assert sqs["Policies"] == [
        {"PolicyName": "p0", "PolicyType": "INLINE", "EntityType": "USER", "EntityName": "barista"},
        {"PolicyName": "ReadOnlyAccess", "PolicyType": "MANAGED", "PolicyArn": READ_ONLY},
    ]
    assert [one["PolicyName"] for one in s3["Policies"]] == ["ReadOnlyAccess"]
    wrong = iam(
        world, "list_policies_granting_service_access", Arn=BARISTA, ServiceNamespaces=["tea"]
    )
    assert (await refused(wrong)).code == "InvalidInput"


@told
async def test_a_key_tells_when_it_was_used_last(world: World) -> None:
    await user(world, "barista", document("sqs:*"))
    key = (await iam(world, "create_access_key", UserName="barista"))["AccessKey"]
    never = await iam(world, "get_access_key_last_used", AccessKeyId=key["AccessKeyId"])
    assert never == {
        "UserName": "barista", "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"},
    }  # fmt: skip
    await world.call("sqs", "list_queues", caller=await world.who(key))
    used = await iam(world, "get_access_key_last_used", AccessKeyId=key["AccessKeyId"])
    assert used["AccessKeyLastUsed"] == {
        "ServiceName": "sqs", "Region": "us-east-1", "LastUsedDate": START,
    }  # fmt: skip
    foreign = world.call(
        "iam", "get_access_key_last_used", account=OTHER, AccessKeyId=key["AccessKeyId"]
    )
    code, text = await refusal(foreign)
    assert code == "AccessDeniedException"
    assert key["AccessKeyId"] in text
    await iam(world, "delete_access_key", UserName="barista", AccessKeyId=key["AccessKeyId"])


@told
async def test_a_role_tells_when_it_was_used_last_and_a_new_one_of_its_name_does_not(
    world: World,
) -> None:
    arn = await role(world, "brewing")
    await iam(
        world, "put_role_policy", RoleName="brewing", PolicyName="p",
        PolicyDocument=document("sqs:*"),
    )  # fmt: skip
    assert (await iam(world, "get_role", RoleName="brewing"))["Role"]["RoleLastUsed"] == {}
    session = await world.call("sts", "assume_role", RoleArn=arn, RoleSessionName="morning")
    await world.call("sqs", "list_queues", caller=await world.who(session["Credentials"]))
    used = (await iam(world, "get_role", RoleName="brewing"))["Role"]["RoleLastUsed"]
    assert used == {"LastUsedDate": START, "Region": "us-east-1"}
    await iam(world, "delete_role_policy", RoleName="brewing", PolicyName="p")
    await iam(world, "delete_role", RoleName="brewing")
    await role(world, "brewing")
    assert (await iam(world, "get_role", RoleName="brewing"))["Role"]["RoleLastUsed"] == {}
