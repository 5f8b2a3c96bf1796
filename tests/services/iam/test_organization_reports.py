"""What an organisation's control policies leave its accounts, and what these really used."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.policy import compile_policy
from doppio.kernel.policy.reference import prefixes
from doppio.services.iam.organization_reports import allowed_services
from tests.services.iam.helpers import document, iam, user
from tests.services.organizations.helpers import MASTER, account, inside, organization, orgs, unit
from tests.services.world import World, refused, told

SCP = "SERVICE_CONTROL_POLICY"


async def policy(world: World, name: str, content: str, *targets: str) -> str:
    """A service control policy on these targets; its id."""
    made = await orgs(
        world, "create_policy", Name=name, Description=name, Type=SCP, Content=content
    )
    wanted = str(made["Policy"]["PolicySummary"]["Id"])
    for target in targets:
        await orgs(world, "attach_policy", PolicyId=wanted, TargetId=target)
    return wanted


async def shop(world: World) -> tuple[str, str, str, str]:
    """An organisation with control policies: its path, a unit, and an account in and out of it."""
    org, root = await organization(world)
    await orgs(world, "enable_policy_type", RootId=root, PolicyType=SCP)
    bar = await unit(world, root)
    till, cellar = await account(world, "till"), await account(world, "cellar")
    await orgs(world, "move_account", AccountId=till, SourceParentId=root, DestinationParentId=bar)
    return f"{org}/{root}", bar, till, cellar


async def report(world: World, path: str, policy: str | None = None, **more: Any) -> Any:
    """A report, as it is read."""
    req = {"EntityPath": path, **({"OrganizationsPolicyId": policy} if policy else {})}
    job = await iam(world, "generate_organizations_access_report", **req)
    return await iam(world, "get_organizations_access_report", **job, **more)


async def everything(world: World, path: str, policy: str | None = None) -> dict[str, Any]:
    """A report's lines by service."""
    found = await report(world, path, policy, MaxItems=1000)
    assert not found["IsTruncated"]
    lines = {one["ServiceNamespace"]: one for one in found["AccessDetails"]}
    assert found["NumberOfServicesAccessible"] == len(lines)
    return lines


@told
async def test_each_entity_shows_what_its_levels_leave_and_what_its_accounts_used(
    world: World,
) -> None:
    path, bar, till, cellar = await shop(world)
    await policy(world, "no-s3", document("s3:*", effect="Deny"), bar)
    in_till, in_cellar = await inside(world, till), await inside(world, cellar)
    await world.call("sqs", "list_queues", caller=in_till)
    await world.advance(60)
    await world.call("sqs", "list_queues", caller=in_cellar, region="eu-west-1")
    await world.call("s3", "list_buckets", caller=in_cellar)

    whole = await everything(world, path)
    assert whole["sqs"]["TotalAuthenticatedEntities"] == 2
    assert whole["sqs"]["EntityPath"] == f"{path}/{cellar}"
    assert (whole["sqs"]["Region"], whole["sqs"]["LastAuthenticatedTime"]) == (
        "eu-west-1", world.now,
    )  # fmt: skip
    assert whole["s3"]["TotalAuthenticatedEntities"] == 1
    # The management account made roles and users, and is not bound.
    assert "EntityPath" not in whole["kms"]

    for entity in (f"{path}/{bar}", f"{path}/{bar}/{till}"):
        lines = await everything(world, entity)
        assert "s3" not in lines
        assert lines["sqs"]["EntityPath"] == f"{path}/{bar}/{till}"
        assert lines["sqs"]["TotalAuthenticatedEntities"] == 1
    assert "s3" in await everything(world, f"{path}/{cellar}")


@told
async def test_the_management_account_may_use_everything_and_counts_alone(world: World) -> None:
    path, *_ = await shop(world)
    barista = await user(world, "barista", document("*"))
    await world.call("kms", "list_keys", caller=barista)
    lines = await everything(world, f"{path}/{MASTER}")
    assert lines.keys() == prefixes().keys()
    assert lines["kms"]["EntityPath"] == f"{path}/{MASTER}"
    assert "EntityPath" not in (await everything(world, path))["kms"]


@told
async def test_a_policys_report_has_its_services_and_the_accounts_below_it(world: World) -> None:
    path, bar, till, cellar = await shop(world)
    queues = await policy(world, "queues", document("sqs:*", "sns:Publish"), bar)
    loose = await policy(world, "loose", document("kms:*"))
    for member in (till, cellar):
        await world.call("sqs", "list_queues", caller=await inside(world, member))
    lines = await everything(world, path, queues)
    assert sorted(lines) == ["sns", "sqs"]
    assert lines["sqs"]["TotalAuthenticatedEntities"] == 1
    assert lines["sqs"]["EntityPath"] == f"{path}/{bar}/{till}"
    other = await everything(world, f"{path}/{cellar}", queues)
    assert "EntityPath" not in other["sqs"]
    assert sorted(await everything(world, path, loose)) == ["kms"]


@told
async def test_lines_are_sorted_and_paged_as_asked(world: World) -> None:
    path, _, till, _ = await shop(world)
    caller = await inside(world, till)
    for service, method in (("sqs", "list_queues"), ("kms", "list_keys")):
        await world.call(service, method, caller=caller)
        await world.advance(60)
    newest = await report(world, path, MaxItems=2, SortKey="LAST_AUTHENTICATED_TIME_DESCENDING")
    assert [one["ServiceNamespace"] for one in newest["AccessDetails"]] == ["kms", "sqs"]
    assert newest["IsTruncated"]
    total = newest["NumberOfServicesAccessible"]
    assert newest["NumberOfServicesNotAccessed"] == total - 2
    last = await report(world, path, MaxItems=1, SortKey="SERVICE_NAMESPACE_DESCENDING")
    first = await report(world, path, MaxItems=1)
    assert last["AccessDetails"][0]["ServiceNamespace"] > "w"
    assert first["AccessDetails"][0]["ServiceNamespace"] < "b"


@told
async def test_only_the_management_account_has_reports_and_only_on_its_own(world: World) -> None:
    job = {"JobId": "0" * 36}
    ask = "generate_organizations_access_report"
    alone = await refused(iam(world, ask, EntityPath="o-cafe123456/r-cafe"))
    assert alone.code == "AccessDeniedException"
    path, bar, till, _ = await shop(world)
    error = await refused(iam(world, "get_organizations_access_report", **job))
    assert (error.code, error.status) == ("NoSuchEntity", 404)
    error = await refused(world.call("iam", ask, account=till, EntityPath=path))
    assert error.code == "AccessDeniedException"
    for wrong in ("o-cafe123456/r-cafe", f"{path[:-2]}xx", f"{path}/{till}"):
        assert (await refused(iam(world, ask, EntityPath=wrong))).code == "InvalidInput"
    await orgs(world, "disable_policy_type", RootId=path.partition("/")[2], PolicyType=SCP)
    assert (await refused(iam(world, ask, EntityPath=f"{path}/{bar}"))).code == "InvalidInput"


@told
async def test_who_asks_needs_leave_of_organizations_too(world: World) -> None:
    path, *_ = await shop(world)
    ask = {"EntityPath": path}
    barista = await user(world, "barista", document("iam:*"))
    call = world.call("iam", "generate_organizations_access_report", caller=barista, **ask)
    assert "organizations:ListPoliciesForTarget" in (await refused(call)).message
    arn = f"arn:aws:iam::{MASTER}:access-report/{path}"
    waiter = await user(
        world, "waiter", document("iam:GenerateOrganizationsAccessReport", resource=arn),
        document("organizations:*"),
    )  # fmt: skip
    assert await world.call("iam", "generate_organizations_access_report", caller=waiter, **ask)


@pytest.mark.parametrize(
    ("documents", "has", "lacks"),
    [
        ((document("*"),), "s3", None),
        ((document("s3:Get*"),), "s3", "sqs"),
        ((document("*"), document("s3:*", effect="Deny")), "sqs", "s3"),
        ((document("*"), document("s3:Put*", effect="Deny")), "s3", None),
        ((document("*"), document("s3:*", effect="Deny", resource="arn:aws:s3:::a")), "s3", None),
        ((document("*"), document("s3:*", effect="Deny", Condition={"Bool": {"aws:x": "true"}})),
         "s3", None),
    ],
)  # fmt: skip
def test_what_is_denied_everywhere_and_always_is_not_left(
    documents: tuple[str, ...], has: str, lacks: str | None
) -> None:
    found = allowed_services([compile_policy(one) for one in documents])
    assert has in found
    assert lacks not in found
