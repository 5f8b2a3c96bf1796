"""Effective policies: who sees what counts where."""

from __future__ import annotations

import json
from typing import Any

from tests.services.organizations.helpers import (
    account,
    enable,
    inside,
    organization,
    orgs,
    policy,
    unit,
)
from tests.services.world import World, refusal, refused, told

TAGS = "TAG_POLICY"


def tags(**said: Any) -> str:
    return json.dumps({"tags": {"team": said}})


@told
async def test_what_counts_for_an_account_comes_from_all_above_it(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root, TAGS)
    bar, member = await unit(world, root), await account(world)
    await orgs(
        world, "move_account", AccountId=member, SourceParentId=root, DestinationParentId=bar
    )
    described = {"PolicyType": TAGS, "TargetId": member}
    assert (await refusal(orgs(world, "describe_effective_policy", **described)))[0] == (
        "EffectivePolicyNotFoundException"
    )
    above = tags(tag_key={"@@assign": "Team"}, tag_value={"@@assign": ["bar"]})
    for name, content, target in (
        ("above", above, root),
        ("below", tags(tag_value={"@@append": ["shop"]}), bar),
        ("mine", tags(tag_value={"@@append": ["till"]}), member),
    ):
        key = await policy(world, content, name, TAGS)
        await world.advance(60)
        await orgs(world, "attach_policy", PolicyId=key, TargetId=target)
    found = (await orgs(world, "describe_effective_policy", **described))["EffectivePolicy"]
    whole = {"tags": {"team": {"tag_key": "Team", "tag_value": ["bar", "shop", "till"]}}}
    assert json.loads(found["PolicyContent"]) == whole
    assert (found["TargetId"], found["LastUpdatedTimestamp"]) == (member, world.now)
    caller = await inside(world, member)
    own = await orgs(world, "describe_effective_policy", caller=caller, PolicyType=TAGS)
    assert own["EffectivePolicy"] == found
    master = await orgs(world, "describe_effective_policy", PolicyType=TAGS)
    assert json.loads(master["EffectivePolicy"]["PolicyContent"])["tags"]["team"]["tag_value"] == [
        "bar"
    ]
    other = orgs(
        world, "describe_effective_policy", caller=caller, PolicyType=TAGS, TargetId="000000000000"
    )
    assert (await refusal(other))[0] == "AccessDeniedException"
    error = await refused(orgs(world, "describe_effective_policy", PolicyType=TAGS, TargetId=root))
    assert error.fields == {"Reason": "TARGET_NOT_SUPPORTED"}


@told
async def test_accounts_whose_policies_do_not_fit_together_are_found(world: World) -> None:
    _, root = await organization(world)
    await enable(world, root, TAGS)
    member = await account(world)
    good = await policy(world, tags(tag_key={"@@assign": "Team"}), "good", TAGS)
    await orgs(world, "attach_policy", PolicyId=good, TargetId=root)
    listed = await orgs(world, "list_accounts_with_invalid_effective_policy", PolicyType=TAGS)
    assert listed["Accounts"] == []
    bad = await policy(world, tags(tag_key={"@@assign": "Crew"}), "bad", TAGS)
    await orgs(world, "attach_policy", PolicyId=bad, TargetId=member)
    listed = await orgs(world, "list_accounts_with_invalid_effective_policy", PolicyType=TAGS)
    assert [one["Id"] for one in listed["Accounts"]] == [member]
    errors = await orgs(
        world, "list_effective_policy_validation_errors", AccountId=member, PolicyType=TAGS
    )
    assert [
        (one["ErrorCode"], one["PathToError"], one["ContributingPolicies"])
        for one in errors["EffectivePolicyValidationErrors"]
    ] == [("VALUE_NOT_SUPPORTED", "tags/team/tag_key", [bad])]
    await orgs(world, "disable_policy_type", RootId=root, PolicyType=TAGS)
    gone = orgs(world, "list_accounts_with_invalid_effective_policy", PolicyType=TAGS)
    assert (await refusal(gone))[0] == "EffectivePolicyNotFoundException"
