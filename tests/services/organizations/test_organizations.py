"""Organisations, their units and their accounts."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from doppio.kernel.quotas import Raised
from doppio.wire.errors import AwsError
from tests.services.organizations.helpers import (
    MASTER,
    OTHER,
    account,
    inside,
    organization,
    orgs,
    unit,
)
from tests.services.world import World, refusal, refused, told

DENIED = ("AccessDeniedException", "You don't have permissions to access this resource.")
OUTSIDE = (
    "AWSOrganizationsNotInUseException",
    "Your account is not a member of an organization.",
)


@told
async def test_an_account_becomes_the_management_account_of_its_organisation(world: World) -> None:
    assert await refusal(orgs(world, "describe_organization")) == OUTSIDE
    made = (await orgs(world, "create_organization"))["Organization"]
    name = made["Id"]
    assert made["Arn"] == f"arn:aws:organizations::{MASTER}:organization/{name}"
    assert made["MasterAccountArn"] == f"arn:aws:organizations::{MASTER}:account/{name}/{MASTER}"
    assert made["FeatureSet"] == "ALL"
    assert made["AvailablePolicyTypes"] == [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}]
    assert await orgs(world, "describe_organization") == {"Organization": made}
    assert await refusal(orgs(world, "create_organization")) == (
        "AlreadyInOrganizationException",
        "The AWS account is already a member of an organization.",
    )
    root = (await orgs(world, "list_roots"))["Roots"][0]
    assert root["Arn"] == f"arn:aws:organizations::{MASTER}:root/{name}/{root['Id']}"
    assert (root["Name"], root["PolicyTypes"]) == ("Root", [])
    accounts = (await orgs(world, "list_accounts"))["Accounts"]
    assert [(one["Id"], one["JoinedMethod"], one["Status"]) for one in accounts] == [
        (MASTER, "INVITED", "ACTIVE")
    ]
    assert accounts[0]["Paths"] == [f"{name}/{root['Id']}/{MASTER}/"]
    await orgs(world, "delete_organization")
    assert await refusal(orgs(world, "list_roots")) == OUTSIDE


@told
async def test_an_organisation_for_bills_alone_has_no_policies(world: World) -> None:
    made = await orgs(world, "create_organization", FeatureSet="CONSOLIDATED_BILLING")
    assert made["Organization"]["AvailablePolicyTypes"] == []
    error = await refused(orgs(world, "create_organization", FeatureSet="SOME"))
    assert (error.code, error.fields) == ("InvalidInputException", {"Reason": "INVALID_ENUM"})


@told
async def test_units_form_a_tree_of_five_levels(world: World) -> None:
    name, root = await organization(world)
    at, path = root, f"{name}/{root}/"
    for level in range(5):
        at = await unit(world, at, f"level {level}")
        path += f"{at}/"
    found = await orgs(world, "describe_organizational_unit", OrganizationalUnitId=at)
    assert found["OrganizationalUnit"]["Path"] == path
    assert found["OrganizationalUnit"]["Arn"] == f"arn:aws:organizations::{MASTER}:ou/{name}/{at}"
    error = await refused(unit(world, at))
    assert (error.code, error.fields["Reason"]) == (
        "ConstraintViolationException", "OU_DEPTH_LIMIT_EXCEEDED",
    )  # fmt: skip
    parents = (await orgs(world, "list_parents", ChildId=at))["Parents"]
    above = parents[0]["Id"]
    assert parents[0]["Type"] == "ORGANIZATIONAL_UNIT"
    gone = orgs(world, "delete_organizational_unit", OrganizationalUnitId=above)
    assert (await refusal(gone))[0] == "OrganizationalUnitNotEmptyException"
    await orgs(world, "delete_organizational_unit", OrganizationalUnitId=at)
    await orgs(world, "delete_organizational_unit", OrganizationalUnitId=above)
    gone = orgs(world, "delete_organizational_unit", OrganizationalUnitId=above)
    assert await refusal(gone) == (
        "OrganizationalUnitNotFoundException",
        "You specified an organizational unit that doesn't exist.",
    )


@told
async def test_a_name_is_taken_beside_its_siblings_alone(world: World) -> None:
    _, root = await organization(world)
    bar = await unit(world, root, "bar")
    await unit(world, bar, "bar")
    assert await refusal(unit(world, root, "bar")) == (
        "DuplicateOrganizationalUnitException", "An OU with the same name already exists.",
    )  # fmt: skip
    shop = await unit(world, root, "shop")
    rename = {"OrganizationalUnitId": shop, "Name": "bar"}
    assert (await refusal(orgs(world, "update_organizational_unit", **rename)))[0] == (
        "DuplicateOrganizationalUnitException"
    )
    rename["Name"] = "store"
    named = await orgs(world, "update_organizational_unit", **rename)
    assert named["OrganizationalUnit"]["Name"] == "store"
    assert await refusal(unit(world, "ou-abcd-12345678")) == (
        "ParentNotFoundException", "You specified a parent that doesn't exist.",
    )  # fmt: skip


@told
async def test_lists_come_by_pages_whose_tokens_count_for_them_alone(world: World) -> None:
    _, root = await organization(world)
    made = sorted([await unit(world, root, f"u{number}") for number in range(5)])
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = await orgs(
            world, "list_organizational_units_for_parent", ParentId=root, MaxResults=2, **token
        )
        seen += [one["Id"] for one in page["OrganizationalUnits"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert seen == made
    children = await orgs(
        world, "list_children", ParentId=root, ChildType="ORGANIZATIONAL_UNIT", MaxResults=4
    )
    assert [one["Id"] for one in children["Children"]] == made[:4]
    foreign = orgs(world, "list_accounts", **token)
    error = await refused(foreign)
    assert (error.code, error.fields) == (
        "InvalidInputException", {"Reason": "INVALID_NEXT_TOKEN"},
    )  # fmt: skip
    forged = orgs(
        world, "list_organizational_units_for_parent", ParentId=made[0], NextToken="forged"
    )
    assert (await refusal(forged))[0] == "InvalidInputException"


@told
async def test_a_new_account_is_entered_by_the_role_that_trusts_the_management_account(
    world: World,
) -> None:
    name, root = await organization(world)
    asked = await orgs(world, "create_account", AccountName="till", Email="till@example.com")
    status = asked["CreateAccountStatus"]
    assert status["State"] == "IN_PROGRESS"
    assert "AccountId" not in status
    await world.settle()
    told = await orgs(world, "describe_create_account_status", CreateAccountRequestId=status["Id"])
    assert told["CreateAccountStatus"]["State"] == "SUCCEEDED"
    member = told["CreateAccountStatus"]["AccountId"]
    shown = (await orgs(world, "describe_account", AccountId=member))["Account"]
    assert (shown["Name"], shown["Email"]) == ("till", "till@example.com")
    assert (shown["JoinedMethod"], shown["Paths"]) == ("CREATED", [f"{name}/{root}/{member}/"])
    caller = await inside(world, member)
    assert caller.account == member
    await world.call("sqs", "create_queue", caller=caller, QueueName="orders")
    assert (
        "QueueUrls" not in await world.call("sqs", "list_queues")
        or not ((await world.call("sqs", "list_queues"))["QueueUrls"])
    )
    role = await world.call(
        "iam", "get_role", caller=caller, RoleName="OrganizationAccountAccessRole"
    )
    assert f"arn:aws:iam::{MASTER}:root" in unquote(role["Role"]["AssumeRolePolicyDocument"])
    statuses = await orgs(world, "list_create_account_status", States=["SUCCEEDED"])
    assert [one["AccountId"] for one in statuses["CreateAccountStatuses"]] == [member]
    assert (await orgs(world, "list_create_account_status", States=["FAILED"])) == {
        "CreateAccountStatuses": []
    }


@told
async def test_the_role_has_the_name_that_was_asked_for(world: World) -> None:
    await organization(world)
    member = await account(world, RoleName="Boss", Tags=[{"Key": "team", "Value": "bar"}])
    assert (await inside(world, member, "Boss")).account == member
    found = await orgs(world, "list_tags_for_resource", ResourceId=member)
    assert found["Tags"] == [{"Key": "team", "Value": "bar"}]


@told
async def test_an_address_serves_one_account(world: World) -> None:
    await organization(world)
    await account(world, "till")
    asked = await orgs(world, "create_account", AccountName="again", Email="till@example.com")
    await world.settle()
    status = await orgs(
        world, "describe_create_account_status",
        CreateAccountRequestId=asked["CreateAccountStatus"]["Id"],
    )  # fmt: skip
    assert status["CreateAccountStatus"]["State"] == "FAILED"
    assert status["CreateAccountStatus"]["FailureReason"] == "EMAIL_ALREADY_EXISTS"


@told
async def test_an_organisation_holds_ten_accounts(world: World) -> None:
    await organization(world)
    for number in range(9):
        await account(world, f"till{number}")
    error = await refused(account(world, "one-too-many"))
    assert (error.code, error.message, error.fields["Reason"]) == (
        "ConstraintViolationException",
        "You have exceeded the allowed number of AWS accounts.",
        "ACCOUNT_NUMBER_LIMIT_EXCEEDED",
    )


@told
async def test_an_organisation_holds_as_many_as_its_quota_says(world: World) -> None:
    await organization(world)
    raised = Raised(
        account=MASTER, region="us-east-1", service="organizations", code="L-E619E033", value=2
    )

    async def raise_it(tx: Any) -> None:
        tx.put(raised)

    await world.cloud.context_for("", "").transact(raise_it)
    await account(world)
    error = await refused(account(world, "more"))
    assert error.fields["Reason"] == "ACCOUNT_NUMBER_LIMIT_EXCEEDED"


@told
async def test_five_accounts_are_made_at_once(world: World) -> None:
    await organization(world)
    calls = [
        orgs(world, "create_account", AccountName="x", Email=f"x{number}@example.com")
        for number in range(6)
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    errors = [one for one in answers if isinstance(one, AwsError)]
    assert [one.fields["Reason"] for one in errors] == ["ACCOUNT_CREATION_RATE_LIMIT_EXCEEDED"]
    await world.settle()
    assert len((await orgs(world, "list_accounts"))["Accounts"]) == 6


@told
async def test_an_account_moves_from_where_it_is(world: World) -> None:
    name, root = await organization(world)
    bar, shop = await unit(world, root, "bar"), await unit(world, root, "shop")
    member = await account(world)

    async def move(here: str, there: str) -> None:
        await orgs(
            world, "move_account", AccountId=member, SourceParentId=here, DestinationParentId=there
        )

    await move(root, bar)
    shown = (await orgs(world, "describe_account", AccountId=member))["Account"]
    assert shown["Paths"] == [f"{name}/{root}/{bar}/{member}/"]
    listed = await orgs(world, "list_accounts_for_parent", ParentId=bar)
    assert [one["Id"] for one in listed["Accounts"]] == [member]
    assert (await refusal(move(root, shop)))[0] == "SourceParentNotFoundException"
    assert (await refusal(move(root, bar)))[0] == "DuplicateAccountException"
    assert (await refusal(move(bar, "ou-abcd-12345678")))[0] == "DestinationParentNotFoundException"
    children = await orgs(world, "list_children", ParentId=root, ChildType="ACCOUNT")
    assert [one["Id"] for one in children["Children"]] == [MASTER]
    assert (await refusal(orgs(world, "delete_organizational_unit", OrganizationalUnitId=bar)))[
        0
    ] == "OrganizationalUnitNotEmptyException"


@told
async def test_a_new_account_stays_four_days_and_leaves_with_what_is_its_own(world: World) -> None:
    await organization(world)
    member = await account(world, Tags=[{"Key": "team", "Value": "bar"}])
    error = await refused(orgs(world, "remove_account_from_organization", AccountId=member))
    assert (error.code, error.fields["Reason"]) == (
        "ConstraintViolationException", "WAIT_PERIOD_ACTIVE",
    )  # fmt: skip
    await world.advance(days=4)
    leaving = await inside(world, member)
    await orgs(world, "leave_organization", caller=leaving)
    assert await refusal(orgs(world, "describe_organization", caller=leaving)) == OUTSIDE
    assert (await refusal(orgs(world, "describe_account", AccountId=member)))[0] == (
        "AccountNotFoundException"
    )
    # It is an account like any other, and makes an organisation of its own.
    made = await orgs(world, "create_organization", caller=leaving)
    assert made["Organization"]["MasterAccountEmail"] == "till@example.com"
    assert await refusal(orgs(world, "leave_organization")) == (
        "MasterCannotLeaveOrganizationException",
        "You cannot remove the master account from the organization.",
    )


@told
async def test_a_closed_account_is_shut_at_once_and_gone_in_90_days(world: World) -> None:
    await organization(world)
    member = await account(world)
    caller = await inside(world, member)
    key = (await world.call("iam", "create_access_key", account=member))["AccessKey"]
    assert (await world.who(key)).account == member
    await orgs(world, "close_account", AccountId=member)
    shown = (await orgs(world, "describe_account", AccountId=member))["Account"]
    assert shown["Status"] == "PENDING_CLOSURE"
    await world.settle()
    shown = (await orgs(world, "describe_account", AccountId=member))["Account"]
    assert shown["Status"] == "SUSPENDED"
    assert (await refusal(world.who(key)))[0] == "InvalidClientTokenId"
    assert (await refusal(world.who({"AccessKeyId": member})))[0] == "InvalidClientTokenId"
    assert (await refusal(inside(world, member)))[0] == "AccessDenied"
    assert (await refusal(orgs(world, "close_account", AccountId=member)))[0] == (
        "AccountAlreadyClosedException"
    )
    assert (await refusal(orgs(world, "delete_organization")))[0] == "OrganizationNotEmptyException"
    error = await refused(orgs(world, "close_account", AccountId=MASTER))
    assert error.fields["Reason"] == "CANNOT_CLOSE_MANAGEMENT_ACCOUNT"
    assert caller.account == member
    await world.advance(days=89)
    assert len((await orgs(world, "list_accounts"))["Accounts"]) == 2
    await world.advance(days=1)
    assert len((await orgs(world, "list_accounts"))["Accounts"]) == 1
    assert (await refusal(world.who(key)))[0] == "InvalidClientTokenId"
    await orgs(world, "delete_organization")


@told
async def test_members_see_their_organisation_and_nothing_else_of_it(world: World) -> None:
    name, _ = await organization(world)
    member = await account(world)
    caller = await inside(world, member)
    found = await orgs(world, "describe_organization", caller=caller)
    assert found["Organization"]["Id"] == name
    for method, req in (
        ("list_accounts", {}),
        ("list_roots", {}),
        ("describe_account", {"AccountId": member}),
        ("create_account", {"AccountName": "x", "Email": "x@example.com"}),
        ("delete_organization", {}),
        ("tag_resource", {"ResourceId": member, "Tags": [{"Key": "k", "Value": "v"}]}),
    ):
        assert await refusal(orgs(world, method, caller=caller, **req)) == DENIED
    assert await refusal(orgs(world, "list_roots", account=OTHER)) == OUTSIDE


@told
async def test_tags_hang_on_roots_units_and_accounts(world: World) -> None:
    _, root = await organization(world)
    bar = await unit(world, root, Tags=[{"Key": "team", "Value": "bar"}])
    for name in (root, bar, MASTER):
        given = [{"Key": "team", "Value": "shop"}, {"Key": "cost", "Value": ""}]
        await orgs(world, "tag_resource", ResourceId=name, Tags=given)
        await orgs(world, "untag_resource", ResourceId=name, TagKeys=["team", "none"])
        found = await orgs(world, "list_tags_for_resource", ResourceId=name)
        assert found["Tags"] == [{"Key": "cost", "Value": ""}]
    for given, reason in (
        ([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}], "DUPLICATE_TAG_KEY"),
        ([{"Key": "aws:x", "Value": "1"}], "INVALID_SYSTEM_TAGS_PARAMETER"),
        ([{"Key": f"k{n}", "Value": ""} for n in range(50)], "MAX_TAG_LIMIT_EXCEEDED"),
    ):
        error = await refused(orgs(world, "tag_resource", ResourceId=root, Tags=given))
        assert error.fields["Reason"] == reason
    assert (await refusal(orgs(world, "list_tags_for_resource", ResourceId=OTHER))) == (
        "TargetNotFoundException", "You specified a target that doesn't exist.",
    )  # fmt: skip
