"""What IAM tells of an account as a whole: summary, details, credential report."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote

from botocore.loaders import Loader

from doppio.services.iam.credential_report import COLUMNS
from doppio.services.iam.records import CredentialReport
from tests.services.crashes import Told, crash_everywhere
from tests.services.world import ACCOUNT, OTHER, START, World, refusal, refused, told

from .certificates import issued
from .helpers import READ_ONLY, document, iam, role, user

SPACED = json.dumps(json.loads(document("sqs:*", resource="arn:aws:sqs:*:*:100%+more")))


async def populated(world: World) -> None:
    """A little of everything."""
    made = await iam(
        world, "create_policy", PolicyName="edge", PolicyDocument=SPACED, Description="an edge"
    )
    edge = made["Policy"]["Arn"]
    await iam(world, "create_user", UserName="alice", Tags=[{"Key": "a", "Value": "b"}],
              PermissionsBoundary=edge)  # fmt: skip
    await iam(world, "put_user_policy", UserName="alice", PolicyName="own", PolicyDocument=SPACED)
    await iam(world, "create_group", GroupName="bar")
    await iam(world, "add_user_to_group", GroupName="bar", UserName="alice")
    await iam(world, "attach_group_policy", GroupName="bar", PolicyArn=READ_ONLY)
    await role(world)
    await iam(world, "attach_role_policy", RoleName="brewing", PolicyArn=edge)
    await iam(world, "create_instance_profile", InstanceProfileName="machine")
    await iam(
        world, "add_role_to_instance_profile", InstanceProfileName="machine", RoleName="brewing"
    )


@told
async def test_the_details_tell_of_everything_with_encoded_documents(world: World) -> None:
    await populated(world)
    got = await iam(world, "get_account_authorization_details")
    assert got["IsTruncated"] is False
    [alice], [bar], [brewing] = (
        got["UserDetailList"], got["GroupDetailList"], got["RoleDetailList"],
    )  # fmt: skip
    edge = f"arn:aws:iam::{ACCOUNT}:policy/edge"
    assert alice["UserPolicyList"] == [
        {"PolicyName": "own", "PolicyDocument": quote(SPACED, safe="-_.~")}
    ]
    assert (alice["GroupList"], alice["Tags"]) == (["bar"], [{"Key": "a", "Value": "b"}])
    assert alice["PermissionsBoundary"]["PermissionsBoundaryArn"] == edge
    assert bar["AttachedManagedPolicies"] == [
        {"PolicyName": "ReadOnlyAccess", "PolicyArn": READ_ONLY}
    ]
    assert [one["InstanceProfileName"] for one in brewing["InstanceProfileList"]] == ["machine"]
    assert json.loads(unquote(brewing["AssumeRolePolicyDocument"]))["Statement"]
    own, theirs = got["Policies"]
    assert (own["Arn"], own["Description"]) == (edge, "an edge")
    assert (own["AttachmentCount"], own["PermissionsBoundaryUsageCount"]) == (1, 1)
    assert [unquote(one["Document"]) for one in own["PolicyVersionList"]] == [SPACED]
    assert theirs["Arn"] == READ_ONLY
    other = await world.call("iam", "get_account_authorization_details", account=OTHER)
    assert all(not rows for rows in other.values())


@told
async def test_the_details_are_filtered_and_come_in_pages(world: World) -> None:
    await populated(world)
    kinds = {
        "User": "UserDetailList", "Group": "GroupDetailList", "Role": "RoleDetailList",
        "LocalManagedPolicy": "Policies", "AWSManagedPolicy": "Policies",
    }  # fmt: skip
    for kind, member in kinds.items():
        got = await iam(world, "get_account_authorization_details", Filter=[kind])
        assert {name for name in kinds.values() if got[name]} == {member}
        assert len(got[member]) == 1
    found: list[Any] = []
    more: dict[str, Any] = {}
    for _ in range(3):
        got = await iam(world, "get_account_authorization_details", MaxItems=2, **more)
        found += [one["Arn"] for name in dict.fromkeys(kinds.values()) for one in got[name]]
        more = {"Marker": got.get("Marker")}
    assert (len(found), len(set(found)), got["IsTruncated"]) == (5, 5, False)
    error = await refused(
        iam(world, "get_account_authorization_details", Filter=["User"], Marker="x")
    )
    assert error.code == "ValidationError"


@told
async def test_a_document_is_encoded_wherever_it_is_shown(world: World) -> None:
    await populated(world)
    encoded = quote(SPACED, safe="-_.~")
    assert "%20" in encoded
    got = await iam(world, "get_user_policy", UserName="alice", PolicyName="own")
    assert got["PolicyDocument"] == encoded
    version = await iam(
        world, "get_policy_version", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/edge", VersionId="v1"
    )
    assert version["PolicyVersion"]["Document"] == encoded
    shown = (await iam(world, "get_role", RoleName="brewing"))["Role"]
    assert shown["AssumeRolePolicyDocument"].startswith("%7B%22Version%22%3A")


@told
async def test_the_summary_has_each_number_that_aws_gives(world: World) -> None:
    await populated(world)
    await iam(world, "create_virtual_mfa_device", VirtualMFADeviceName="phone")
    await iam(world, "create_open_id_connect_provider", Url="https://id.example.com")
    one = issued("shop")
    await iam(
        world, "upload_server_certificate", ServerCertificateName="s", CertificateBody=one.pem,
        PrivateKey=one.key_pem,
    )  # fmt: skip
    got = (await iam(world, "get_account_summary"))["SummaryMap"]
    shapes = Loader().load_service_model("iam", "service-2")["shapes"]
    assert set(got) == set(shapes["summaryKeyType"]["enum"])
    expected = {
        "Users": 1, "Groups": 1, "Roles": 1, "Policies": 1, "PolicyVersionsInUse": 1,
        "InstanceProfiles": 1, "MFADevices": 1, "MFADevicesInUse": 0, "Providers": 1,
        "ServerCertificates": 1, "AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0,
        "AccountSigningCertificatesPresent": 0, "AccountPasswordPresent": 0,
        "ServerCertificatesQuota": 20, "GroupsQuota": 300, "AssumeRolePolicySizeQuota": 2_048,
    }  # fmt: skip
    assert {name: got[name] for name in expected} == expected
    await iam(world, "create_access_key")
    got = (await iam(world, "get_account_summary"))["SummaryMap"]
    assert got["AccountAccessKeysPresent"] == 1


async def report(world: World) -> list[dict[str, str]]:
    """The report's rows, root's first."""
    got = await iam(world, "get_credential_report")
    assert got["ReportFormat"] == "text/csv"
    rows = list(csv.DictReader(io.StringIO(got["Content"].decode())))
    assert list(rows[0]) == list(COLUMNS)
    return rows


@told
async def test_a_report_that_is_being_made_is_not_there_yet(world: World) -> None:
    async with world.cloud.root_context().write() as tx:
        tx.put(CredentialReport(account=ACCOUNT, at=world.now))
    assert (await iam(world, "generate_credential_report"))["State"] == "INPROGRESS"
    error = await refused(iam(world, "get_credential_report"))
    assert (error.code, error.status) == ("ReportInProgress", 404)


@told
async def test_a_report_is_made_once_and_stands_for_four_hours(world: World) -> None:
    assert (await refused(iam(world, "get_credential_report"))).status == 410
    assert await iam(world, "generate_credential_report") == {
        "State": "STARTED", "Description": "No report exists. Starting a new report generation task",
    }  # fmt: skip
    await world.settle()
    assert (await iam(world, "generate_credential_report"))["State"] == "COMPLETE"
    assert len(await report(world)) == 1
    await iam(world, "create_user", UserName="alice")
    await world.advance(hours=3, minutes=59)
    assert (await iam(world, "generate_credential_report"))["State"] == "COMPLETE"
    assert len(await report(world)) == 1
    await world.advance(minutes=1)
    code, _ = await refusal(iam(world, "get_credential_report"))
    assert code == "ReportExpired"
    assert (await iam(world, "generate_credential_report"))["State"] == "STARTED"
    await world.settle()
    assert len(await report(world)) == 2


@told
async def test_a_report_that_was_asked_for_is_made_after_a_crash(world: World) -> None:
    await iam(world, "generate_credential_report")
    world = world.again()
    await world.start()
    assert len(await report(world)) == 1
    await world.close()


@told
async def test_a_report_shows_the_state_of_passwords_keys_and_certificates(world: World) -> None:
    await iam(world, "update_account_password_policy", MaxPasswordAge=90)
    alice = await user(world, "alice", document("sqs:*"))
    await iam(world, "create_login_profile", UserName="alice", Password="Long enough 1")
    key = (await iam(world, "create_access_key", UserName="alice"))["AccessKey"]
    await world.call("sqs", "list_queues", caller=await world.who(key), region="eu-west-1")
    await world.advance(hours=1)
    await iam(world, "create_access_key", UserName="alice")
    await iam(
        world, "update_access_key", UserName="alice", AccessKeyId=key["AccessKeyId"],
        Status="Inactive",
    )  # fmt: skip
    await iam(
        world, "upload_signing_certificate", UserName="alice", CertificateBody=issued("a").pem
    )
    await iam(world, "create_user", UserName="bob")
    await iam(world, "generate_credential_report")
    await world.settle()
    root, first, second = await report(world)
    start, later = "2030-01-01T00:00:00+00:00", "2030-01-01T01:00:00+00:00"
    assert (START + timedelta(days=90)).strftime("%Y-%m-%d") == "2030-04-01"
    assert first == dict(zip(COLUMNS, (
        "alice", alice.arn, start, "true", "no_information", start, "2030-04-01T00:00:00+00:00",
        "false", "false", start, start, "eu-west-1", "sqs", "true", later, "N/A", "N/A", "N/A",
        "true", later, "false", "N/A",
    ), strict=True))  # fmt: skip
    assert list(second.values())[:8] == [
        "bob", f"arn:aws:iam::{ACCOUNT}:user/bob", later, "false", "N/A", "N/A", "N/A", "false",
    ]  # fmt: skip
    assert (root["user"], root["arn"]) == ("<root_account>", f"arn:aws:iam::{ACCOUNT}:root")
    assert (root["password_enabled"], root["mfa_active"]) == ("not_supported", "false")
    assert root["user_creation_time"] == start


def test_a_crash_while_a_report_is_made_loses_none_that_was_promised() -> None:
    async def prepare(world: World, told: Told) -> None:
        await iam(world, "create_user", UserName="alice")

    async def work(world: World, told: Told) -> None:
        told["state"] = (await iam(world, "generate_credential_report"))["State"]

    async def check(world: World, told: Told) -> None:
        if "state" in told:
            assert [row["user"] for row in await report(world)] == ["<root_account>", "alice"]
        else:
            again = (await iam(world, "generate_credential_report"))["State"]
            assert again in {"STARTED", "COMPLETE"}

    assert crash_everywhere(prepare, work, check) >= 2


@told
async def test_roots_are_as_old_as_their_accounts(world: World) -> None:
    await world.advance(days=3)
    assert (await iam(world, "get_user"))["User"]["CreateDate"] == START
    await world.call("organizations", "create_organization")
    made = await world.call(
        "organizations", "create_account", AccountName="till", Email="till@example.com"
    )
    await world.settle()
    status = await world.call(
        "organizations", "describe_create_account_status",
        CreateAccountRequestId=made["CreateAccountStatus"]["Id"],
    )  # fmt: skip
    number = status["CreateAccountStatus"]["AccountId"]
    await world.advance(hours=1)
    root = (await world.call("iam", "get_user", account=number))["User"]
    assert root["CreateDate"] == START + timedelta(days=3)
    again = world.again()
    await again.start()
    try:
        assert (await iam(again, "get_user"))["User"]["CreateDate"] == START
    finally:
        await again.close()


@told
async def test_dates_are_told_to_the_second(world: World) -> None:
    await world.advance(seconds=0.75)
    made = (await iam(world, "create_user", UserName="alice"))["User"]
    assert made["CreateDate"] == START
    listed = (await iam(world, "list_users"))["Users"]
    assert [one["CreateDate"] for one in listed] == [START]
    key = (await iam(world, "create_access_key", UserName="alice"))["AccessKey"]
    assert key["CreateDate"] == START
    got = await world.call("sts", "get_session_token", caller=await world.who(key))
    assert got["Credentials"]["Expiration"] == START + timedelta(hours=12)
