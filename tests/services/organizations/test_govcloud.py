"""Accounts in GovCloud: made in pairs from the commercial organisation, and standing alone there."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.identity import Caller, root_of
from tests.services.crashes import Told, crash_everywhere
from tests.services.organizations.helpers import MASTER, account, inside, organization, orgs
from tests.services.organizations.test_events import heard, listener
from tests.services.world import World, refusal, refused, told

GOV = "us-gov-west-1"
PARTITION = "aws-us-gov"
ROLE = "OrganizationAccountAccessRole"


async def asked(world: World, name: str = "vault", **req: Any) -> dict[str, Any]:
    """Ask for a pair of accounts; what became of it."""
    given = {"AccountName": name, "Email": f"{name}@example.com", **req}
    made = (await orgs(world, "create_gov_cloud_account", **given))["CreateAccountStatus"]
    assert made["State"] == "IN_PROGRESS"
    assert "GovCloudAccountId" not in made
    await world.settle()
    told = await orgs(world, "describe_create_account_status", CreateAccountRequestId=made["Id"])
    return dict(told["CreateAccountStatus"])


async def keeper(world: World, number: str = MASTER) -> Caller:
    """A user who may do everything in an account of GovCloud."""
    root = root_of(number, partition=PARTITION)
    await world.call("iam", "create_user", caller=root, region=GOV, UserName="keeper")
    await world.call(
        "iam", "attach_user_policy", caller=root, region=GOV, UserName="keeper",
        PolicyArn="arn:aws-us-gov:iam::aws:policy/AdministratorAccess",
    )  # fmt: skip
    key = await world.call("iam", "create_access_key", caller=root, region=GOV, UserName="keeper")
    return await world.who(key["AccessKey"], PARTITION)


async def visitor(world: World, who: Caller, member: str, role: str = ROLE) -> Caller:
    """Who has assumed the role in an account of GovCloud."""
    arn = f"arn:aws-us-gov:iam::{member}:role/{role}"
    got = await world.call(
        "sts", "assume_role", caller=who, region=GOV, RoleArn=arn, RoleSessionName="visit"
    )
    return await world.who(got["Credentials"], PARTITION)


@told
async def test_two_accounts_are_made_and_each_is_entered_from_its_own_partition(
    world: World,
) -> None:
    await organization(world)
    status = await asked(world)
    assert status["State"] == "SUCCEEDED"
    commercial, gov = status["AccountId"], status["GovCloudAccountId"]
    assert commercial != gov
    # The commercial one is a member, and is entered by the management account.
    members = [one["Id"] for one in (await orgs(world, "list_accounts"))["Accounts"]]
    assert members == [MASTER, commercial]
    assert (await inside(world, commercial)).account == commercial
    # The one in GovCloud is entered by the management account's account there.
    guest = await visitor(world, await keeper(world), gov)
    assert guest.arn == f"arn:aws-us-gov:sts::{gov}:assumed-role/{ROLE}/visit"
    made = await world.call("sqs", "create_queue", caller=guest, region=GOV, QueueName="safe")
    told = await world.call(
        "sqs", "get_queue_attributes", caller=guest, region=GOV, QueueUrl=made["QueueUrl"],
        AttributeNames=["QueueArn"],
    )  # fmt: skip
    assert told["Attributes"]["QueueArn"] == f"arn:aws-us-gov:sqs:{GOV}:{gov}:safe"
    # And it is in nobody's organisation.
    error = await refused(
        world.call("organizations", "describe_organization", caller=guest, region=GOV)
    )
    assert error.code == "AWSOrganizationsNotInUseException"


@told
async def test_the_role_is_called_as_asked_in_both_and_trusts_each_its_own(world: World) -> None:
    await organization(world)
    status = await asked(world, RoleName="Keeper")
    for number, region, partition in (
        (status["AccountId"], "us-east-1", "aws"), (status["GovCloudAccountId"], GOV, PARTITION),
    ):  # fmt: skip
        root = root_of(number, partition=partition)
        roles = (await world.call("iam", "list_roles", caller=root, region=region))["Roles"]
        role = next(one for one in roles if one["RoleName"] == "Keeper")
        assert role["Arn"] == f"arn:{partition}:iam::{number}:role/Keeper"
        trusted = await world.call("iam", "get_role", caller=root, region=region, RoleName="Keeper")
        assert (
            f"arn%3A{partition}%3Aiam%3A%3A{MASTER}%3Aroot"
            in (trusted["Role"]["AssumeRolePolicyDocument"])
        )
        attached = await world.call(
            "iam", "list_attached_role_policies", caller=root, region=region, RoleName="Keeper"
        )
        assert [one["PolicyArn"] for one in attached["AttachedPolicies"]] == [
            f"arn:{partition}:iam::aws:policy/AdministratorAccess"
        ]


@told
async def test_the_new_account_joins_an_organisation_of_govcloud_when_invited(
    world: World,
) -> None:
    await organization(world)
    status = await asked(world, Tags=[{"Key": "team", "Value": "bar"}])
    gov = status["GovCloudAccountId"]
    master = await keeper(world)
    made = await world.call("organizations", "create_organization", caller=master, region=GOV)
    assert made["Organization"]["Arn"].startswith(f"arn:aws-us-gov:organizations::{MASTER}:")
    assert (
        made["Organization"]["Id"]
        != (await orgs(world, "describe_organization"))["Organization"]["Id"]
    )
    invited = await world.call(
        "organizations", "invite_account_to_organization", caller=master, region=GOV,
        Target={"Type": "ACCOUNT", "Id": gov},
    )  # fmt: skip
    guest = await visitor(world, master, gov)
    await world.call(
        "organizations", "accept_handshake", caller=guest, region=GOV,
        HandshakeId=invited["Handshake"]["Id"],
    )  # fmt: skip
    listed = await world.call("organizations", "list_accounts", caller=master, region=GOV)
    there = {one["Id"]: one for one in listed["Accounts"]}
    assert set(there) == {MASTER, gov}
    assert (there[gov]["Name"], there[gov]["Email"]) == ("vault", "vault@example.com")
    # Tags are the commercial account's, not this one's.
    for number, caller, region, many in (
        (gov, master, GOV, 0), (status["AccountId"], root_of(MASTER), "us-east-1", 1),
    ):  # fmt: skip
        tags = await world.call(
            "organizations", "list_tags_for_resource", caller=caller, region=region,
            ResourceId=number,
        )  # fmt: skip
        assert len(tags["Tags"]) == many


@told
async def test_a_control_policy_of_one_partition_binds_nobody_of_the_other(world: World) -> None:
    _, root = await organization(world)
    status = await asked(world)
    commercial, gov = status["AccountId"], status["GovCloudAccountId"]
    await orgs(world, "enable_policy_type", RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    content = json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "sqs:*", "Resource": "*"}],
    })  # fmt: skip
    policy = await orgs(
        world, "create_policy", Name="no", Description="", Type="SERVICE_CONTROL_POLICY",
        Content=content,
    )  # fmt: skip
    name = policy["Policy"]["PolicySummary"]["Id"]
    await orgs(world, "attach_policy", PolicyId=name, TargetId=root)
    error = await refused(world.call("sqs", "list_queues", account=commercial))
    assert "with an explicit deny in a service control policy" in error.message
    # Neither the account in GovCloud, nor what there has the commercial one's number.
    for number in (gov, commercial):
        assert await world.call("sqs", "list_queues", account=number, region=GOV) is not None
    # Who is known to the kernel in one partition is not by that known in the other.
    assert (await refused(world.call("sqs", "list_queues", account=commercial))).code


@told
async def test_a_management_account_without_one_in_govcloud_makes_none(world: World) -> None:
    await organization(world)
    plain = await account(world)
    linked = (await asked(world))["AccountId"]
    await world.advance(days=5)
    for number in (plain, linked):
        await orgs(world, "remove_account_from_organization", AccountId=number)
        await world.call("organizations", "create_organization", account=number)
    wanted = {"AccountName": "safe", "Email": "safe@example.com"}
    error = await refused(
        world.call("organizations", "create_gov_cloud_account", account=plain, **wanted)
    )
    assert error.code == "ConstraintViolationException"
    assert error.fields["Reason"] == "MASTER_ACCOUNT_NOT_GOVCLOUD_ENABLED"
    # One that was made with its own has it: that is whom the role trusts.
    made = await world.call("organizations", "create_gov_cloud_account", account=linked, **wanted)
    await world.settle()
    status = await world.call(
        "organizations", "describe_create_account_status", account=linked,
        CreateAccountRequestId=made["CreateAccountStatus"]["Id"],
    )  # fmt: skip
    new = status["CreateAccountStatus"]["GovCloudAccountId"]
    first = (await orgs(world, "list_create_account_status"))["CreateAccountStatuses"]
    own = next(one["GovCloudAccountId"] for one in first if "GovCloudAccountId" in one)
    assert (await visitor(world, await keeper(world, own), new)).account == new
    stranger = await keeper(world)
    assert (await refused(visitor(world, stranger, new))).code == "AccessDenied"


@told
async def test_accounts_are_made_from_the_commercial_partition_alone(world: World) -> None:
    await world.call("organizations", "create_organization", region=GOV)
    await world.call("organizations", "create_organization", region="cn-north-1")
    wanted = {"AccountName": "safe", "Email": "safe@example.com"}
    unsupported = (
        "UnsupportedAPIEndpointException",
        "This action isn't available in the current AWS Region.",
    )
    for region, method, req in (
        (GOV, "create_gov_cloud_account", wanted), (GOV, "create_account", wanted),
        (GOV, "close_account", {"AccountId": "111111111111"}),
        ("cn-north-1", "create_gov_cloud_account", wanted),
    ):  # fmt: skip
        asking = world.call("organizations", method, region=region, **req)  # type: ignore[arg-type]
        assert await refusal(asking) == unsupported
    made = await world.call("organizations", "create_account", region="cn-north-1", **wanted)
    await world.settle()
    listed = await world.call("organizations", "list_accounts", region="cn-north-1")
    assert len(listed["Accounts"]) == 2
    assert made["CreateAccountStatus"]["State"] == "IN_PROGRESS"


@told
async def test_pages_of_accounts_are_exact_in_another_partition(world: World) -> None:
    china = {"region": "cn-north-1"}
    await world.call("organizations", "create_organization", **china)
    await world.call("organizations", "create_organization")
    for name in ("one", "two", "three"):
        wanted = {"AccountName": name, "Email": f"{name}@example.com"}
        await world.call("organizations", "create_account", **china, **wanted)
        await account(world, f"{name}-here")
    await world.settle()
    pages: list[list[str]] = []
    token: dict[str, str] = {}
    for _ in range(5):
        found = await world.call("organizations", "list_accounts", **china, MaxResults=1, **token)
        pages.append([one["Name"] for one in found["Accounts"]])
        if "NextToken" not in found:
            break
        token = {"NextToken": found["NextToken"]}
    names = [name for page in pages for name in page if name in ("one", "two", "three")]
    assert sorted(names) == ["one", "three", "two"]
    assert [len(page) for page in pages] == [1, 1, 1, 1]


@told
async def test_an_address_belongs_to_one_pair(world: World) -> None:
    await organization(world)
    await account(world, "till")
    status = await asked(world, "till")
    assert (status["State"], status["FailureReason"]) == ("FAILED", "EMAIL_ALREADY_EXISTS")
    assert "GovCloudAccountId" not in status
    # An address that nobody has but somebody in GovCloud.
    other = "333333333333"
    await world.call("organizations", "create_organization", account=other, region=GOV)
    theirs = await world.call("organizations", "describe_organization", account=other, region=GOV)
    status = await asked(world, "x", Email=theirs["Organization"]["MasterAccountEmail"])
    assert status["FailureReason"] == "GOVCLOUD_ACCOUNT_ALREADY_EXISTS"
    assert len((await orgs(world, "list_accounts"))["Accounts"]) == 2


@told
async def test_who_asks_needs_the_permission_and_one_to_tag(world: World) -> None:
    await organization(world)
    await world.call("iam", "create_user", UserName="clerk")
    key = (await world.call("iam", "create_access_key", UserName="clerk"))["AccessKey"]
    wanted = {"AccountName": "safe", "Email": "safe@example.com"}
    tagged = {**wanted, "Tags": [{"Key": "team", "Value": "bar"}]}
    allowed: list[str] = []
    for req, lacking in (
        (wanted, "organizations:CreateGovCloudAccount"),
        (tagged, "organizations:TagResource"),
    ):  # fmt: skip
        clerk = await world.who(key)
        error = await refused(
            world.call("organizations", "create_gov_cloud_account", caller=clerk, **req)  # type: ignore[arg-type]
        )
        assert f"is not authorized to perform: {lacking}" in error.message
        allowed.append(lacking)
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}],
        }
        await world.call(
            "iam", "put_user_policy", UserName="clerk", PolicyName="p",
            PolicyDocument=json.dumps(document),
        )  # fmt: skip
    clerk = await world.who(key)
    made = await world.call("organizations", "create_gov_cloud_account", caller=clerk, **tagged)  # type: ignore[arg-type]
    assert made["CreateAccountStatus"]["State"] == "IN_PROGRESS"


@told
async def test_the_result_is_told_with_both_accounts(world: World) -> None:
    await organization(world)
    url = await listener(world)
    status = await asked(world)
    events = await heard(world, url)
    made = events["CreateAccountResult"]["serviceEventDetails"]["createAccountStatus"]
    assert (made["accountId"], made["govCloudAccountId"]) == (
        status["AccountId"], status["GovCloudAccountId"],
    )  # fmt: skip
    joined = events["AccountJoinedOrganization"]["serviceEventDetails"]
    assert joined["accountId"] == status["AccountId"]


@told
async def test_both_are_closed_together(world: World) -> None:
    await organization(world)
    status = await asked(world)
    gov = status["GovCloudAccountId"]
    master = await keeper(world)
    guest = await visitor(world, master, gov)
    key = await world.call("iam", "create_user", caller=guest, region=GOV, UserName="guard")
    key = await world.call("iam", "create_access_key", caller=guest, region=GOV, UserName="guard")
    assert (await world.who(key["AccessKey"], PARTITION)).account == gov
    await world.call("organizations", "create_organization", caller=master, region=GOV)
    invited = await world.call(
        "organizations", "invite_account_to_organization", caller=master, region=GOV,
        Target={"Type": "ACCOUNT", "Id": gov},
    )  # fmt: skip
    await world.call(
        "organizations", "accept_handshake", caller=guest, region=GOV,
        HandshakeId=invited["Handshake"]["Id"],
    )  # fmt: skip
    await orgs(world, "close_account", AccountId=status["AccountId"])
    await world.settle()
    error = await refused(world.who(key["AccessKey"], PARTITION))
    assert error.code == "InvalidClientTokenId"
    shown = await world.call(
        "organizations", "describe_account", caller=master, region=GOV, AccountId=gov
    )
    assert shown["Account"]["Status"] == "SUSPENDED"
    await world.advance(days=91)
    left = await world.call("organizations", "list_accounts", caller=master, region=GOV)
    assert [one["Id"] for one in left["Accounts"]] == [MASTER]
    assert len((await orgs(world, "list_accounts"))["Accounts"]) == 1


async def _organization(world: World, told: Told) -> None:
    await organization(world)


def test_a_pair_is_made_once_and_whole_or_not_at_all() -> None:
    async def make(world: World, told: Told) -> None:
        wanted = {"AccountName": "vault", "Email": "vault@example.com"}
        made = await orgs(world, "create_gov_cloud_account", **wanted)
        told["id"] = made["CreateAccountStatus"]["Id"]

    async def check(world: World, told: Told) -> None:
        statuses = (await orgs(world, "list_create_account_status"))["CreateAccountStatuses"]
        assert not told or [one["Id"] for one in statuses] == [told["id"]]
        for status in statuses:
            assert status["State"] == "SUCCEEDED"
            gov = status["GovCloudAccountId"]
            assert (await visitor(world, await keeper(world), gov)).account == gov
            assert (await inside(world, status["AccountId"])).account == status["AccountId"]

    # The request, the job's work, and that the job is done.
    assert crash_everywhere(_organization, make, check) >= 3
