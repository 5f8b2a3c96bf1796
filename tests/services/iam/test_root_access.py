"""Centralised root access: who may take it over, and under what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.iam.helpers import document, user
from tests.services.organizations.helpers import MASTER, account, inside, organization, orgs
from tests.services.sts.test_assume_root import TASKS
from tests.services.world import World, refused, told

IAM = "iam.amazonaws.com"
ENABLE = ("enable_organizations_root_credentials_management", "enable_organizations_root_sessions")
DISABLE = tuple(one.replace("enable", "disable", 1) for one in ENABLE)
BOTH = ["RootCredentialsManagement", "RootSessions"]


async def do(world: World, method: str, number: str = MASTER) -> Any:
    """An operation on centralised root access."""
    return await world.call("iam", method, account=number)


async def trusted(world: World) -> tuple[str, str]:
    """An organisation that trusts IAM: its id, and a member."""
    org, _ = await organization(world)
    await orgs(world, "enable_aws_service_access", ServicePrincipal=IAM)
    return org, await account(world)


@told
async def test_features_are_enabled_and_disabled_each_for_itself_and_twice(world: World) -> None:
    org, _ = await trusted(world)
    listed = "list_organizations_features"
    assert await do(world, listed) == {"OrganizationId": org, "EnabledFeatures": []}
    for method in (*ENABLE, *ENABLE):
        last = await do(world, method)
    assert last == {"OrganizationId": org, "EnabledFeatures": BOTH}
    assert await do(world, listed) == last
    for _ in range(2):
        assert (await do(world, DISABLE[0]))["EnabledFeatures"] == BOTH[1:]
    assert (await do(world, DISABLE[1]))["EnabledFeatures"] == []


@told
async def test_an_organisation_must_trust_iam(world: World) -> None:
    await organization(world)
    for method in (*ENABLE, *DISABLE, "list_organizations_features"):
        error = await refused(do(world, method))
        assert (error.code, error.status) == ("ServiceAccessNotEnabledException", 400)


@told
async def test_an_organisation_that_only_pays_together_has_no_root_access(world: World) -> None:
    await organization(world, FeatureSet="CONSOLIDATED_BILLING")
    error = await refused(do(world, ENABLE[0]))
    assert error.code == "OrganizationNotInAllFeaturesModeException"


@told
async def test_a_member_may_nothing_and_a_delegated_administrator_not_enable(world: World) -> None:
    org, till = await trusted(world)
    for method in (*ENABLE, *DISABLE, "list_organizations_features"):
        error = await refused(do(world, method, till))
        assert error.code == "AccountNotManagementOrDelegatedAdministratorException"
    await orgs(world, "register_delegated_administrator", AccountId=till, ServicePrincipal=IAM)
    assert (await do(world, "list_organizations_features", till))["OrganizationId"] == org
    error = await refused(do(world, ENABLE[0], till))
    assert error.code == "CallerIsNotManagementAccountException"
    await do(world, ENABLE[0])
    assert (await do(world, DISABLE[0], till))["EnabledFeatures"] == []


@told
async def test_a_delegated_administrator_becomes_another_members_root_for_a_task(
    world: World,
) -> None:
    _, till = await trusted(world)
    cellar = await account(world, "cellar")
    await do(world, "enable_organizations_root_sessions")
    keeper = await inside(world, till)
    ask = {
        "TargetPrincipal": cellar, "TaskPolicyArn": {"arn": TASKS + "S3UnlockBucketPolicy"},
    }  # fmt: skip
    error = await refused(world.call("sts", "assume_root", caller=keeper, **ask))
    assert error.code == "AccessDenied"
    await orgs(world, "register_delegated_administrator", AccountId=till, ServicePrincipal=IAM)
    got = await world.call("sts", "assume_root", caller=keeper, **ask)
    acting = await world.who(got["Credentials"])
    assert (acting.account, acting.kind) == (cellar, "root")
    to_master = await refused(
        world.call("sts", "assume_root", caller=keeper, **{**ask, "TargetPrincipal": MASTER})
    )
    assert to_master.code == "AccessDenied"


@pytest.mark.parametrize("method", [*ENABLE, *DISABLE, "list_organizations_features"])
def test_each_takes_the_permission_of_its_name_and_none_of_organizations(method: str) -> None:
    @told
    async def story(world: World) -> None:
        await trusted(world)
        name = "".join(word.capitalize() for word in method.split("_"))
        allowed = await user(world, "keeper", document(f"iam:{name}"))
        other = await user(world, "waiter", document("organizations:*"))
        assert await world.call("iam", method, caller=allowed)
        error = await refused(world.call("iam", method, caller=other))
        assert f"iam:{name}" in error.message

    story()
