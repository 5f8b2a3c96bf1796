"""Crashes at each commit: an account is made once and whole, and closed once it was said to be."""

from __future__ import annotations

from tests.services.crashes import Told, crash_everywhere
from tests.services.organizations.helpers import account, inside, organization, orgs
from tests.services.world import World


async def _organization(world: World, told: Told) -> None:
    await organization(world)


def test_an_account_is_made_once_with_its_role_or_not_at_all() -> None:
    async def make(world: World, told: Told) -> None:
        made = await orgs(world, "create_account", AccountName="till", Email="till@example.com")
        told["id"] = made["CreateAccountStatus"]["Id"]

    async def check(world: World, told: Told) -> None:
        statuses = (await orgs(world, "list_create_account_status"))["CreateAccountStatuses"]
        assert not told or [one["Id"] for one in statuses] == [told["id"]]
        accounts = (await orgs(world, "list_accounts"))["Accounts"]
        assert len(accounts) == 1 + len(statuses)
        for status in statuses:
            assert status["State"] == "SUCCEEDED"
            assert (await inside(world, status["AccountId"])).account == status["AccountId"]

    # The request, the job's work, and that the job is done.
    assert crash_everywhere(_organization, make, check) >= 3


def test_an_account_that_is_said_to_be_closing_is_closed() -> None:
    async def prepare(world: World, told: Told) -> None:
        await organization(world)
        told["member"] = await account(world)

    async def close(world: World, told: Told) -> None:
        await orgs(world, "close_account", AccountId=told["member"])
        told["closed"] = True

    async def check(world: World, told: Told) -> None:
        shown = (await orgs(world, "describe_account", AccountId=told["member"]))["Account"]
        assert shown["Status"] in ("ACTIVE", "SUSPENDED")
        assert "closed" not in told or shown["Status"] == "SUSPENDED"
        await world.advance(days=91)
        left = len((await orgs(world, "list_accounts"))["Accounts"])
        assert left == (1 if shown["Status"] == "SUSPENDED" else 2)

    assert crash_everywhere(prepare, close, check) >= 3
