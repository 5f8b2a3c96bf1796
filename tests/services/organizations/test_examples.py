"""The AWS CLI's examples: what real Organizations answered has the members that we answer."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.services.organizations.helpers import (
    OTHER,
    account,
    deny,
    enable,
    organization,
    orgs,
    policy,
    unit,
)
from tests.services.world import World, told

_SPEC = importlib.util.find_spec("awscli")
pytestmark = pytest.mark.skipif(_SPEC is None, reason="the AWS CLI is not installed")
# Examples whose JSON is broken.
BROKEN = {"list-policies-for-target"}


def example(command: str) -> dict[str, Any] | None:
    """The first output of a command's examples; None where it is no JSON."""
    assert _SPEC is not None
    assert _SPEC.origin is not None
    text = (Path(_SPEC.origin).parent / f"examples/organizations/{command}.rst").read_text()
    # An output is the first line that is an opening brace alone.
    start = re.search(r"^\s+\{\s*$", text, re.MULTILINE)
    assert start is not None, command
    body = text[start.start() :].strip()
    try:
        found: dict[str, Any] = json.JSONDecoder().raw_decode(body)[0]
    except ValueError:
        return None
    return found


def members(value: Any, path: str = "") -> set[str]:
    """The members of an answer, by their paths; of lists, those of all that is in them.

    Some examples write them as AWS did once: letters' cases do not count.
    """
    if isinstance(value, dict):
        return {
            one
            for key, inner in value.items()
            for one in {f"{path}/{key.lower()}"} | members(inner, f"{path}/{key.lower()}")
        }
    if isinstance(value, list):
        return {one for inner in value for one in members(inner, path)}
    return set()


@told
async def test_answers_have_the_members_of_awss_examples(world: World) -> None:
    asked: dict[str, Any] = {}
    asked["create-organization"] = await orgs(world, "create_organization")
    await orgs(world, "delete_organization")
    _, root = await organization(world)
    await enable(world, root)
    bar, member = await unit(world, root), await account(world)
    name = await policy(world, deny("sqs:*"))
    await orgs(world, "attach_policy", PolicyId=name, TargetId=root)
    invited = await orgs(
        world, "invite_account_to_organization", Target={"Id": OTHER, "Type": "ACCOUNT"}
    )
    asked["invite-account-to-organization"] = invited
    key = {"HandshakeId": invited["Handshake"]["Id"]}
    for command, req in (
        ("describe-account", {"AccountId": member}),
        ("describe-handshake", key),
        ("describe-organization", {}),
        ("describe-organizational-unit", {"OrganizationalUnitId": bar}),
        ("describe-policy", {"PolicyId": name}),
        ("list-accounts", {}),
        ("list-accounts-for-parent", {"ParentId": root}),
        ("list-children", {"ParentId": root, "ChildType": "ORGANIZATIONAL_UNIT"}),
        ("list-create-account-status", {"States": ["SUCCEEDED"]}),
        ("list-handshakes-for-organization", {}),
        ("list-organizational-units-for-parent", {"ParentId": root}),
        ("list-parents", {"ChildId": member}),
        ("list-policies", {"Filter": "SERVICE_CONTROL_POLICY"}),
        ("list-policies-for-target", {"TargetId": root, "Filter": "SERVICE_CONTROL_POLICY"}),
        ("list-roots", {}),
        ("list-targets-for-policy", {"PolicyId": name}),
        ("create-account", {"AccountName": "x", "Email": "x@example.com"}),
        ("create-policy", {
            "Name": "n", "Description": "d", "Type": "SERVICE_CONTROL_POLICY",
            "Content": deny("sns:*"),
        }),
        ("update-organizational-unit", {"OrganizationalUnitId": bar, "Name": "y"}),
        ("update-policy", {"PolicyId": name, "Name": "z"}),
        ("enable-policy-type", {"RootId": root, "PolicyType": "TAG_POLICY"}),
        ("disable-policy-type", {"RootId": root, "PolicyType": "TAG_POLICY"}),
        ("accept-handshake", {**key, "account": OTHER}),
    ):  # fmt: skip
        asked[command] = await orgs(world, command.replace("-", "_"), **req)
    examples = {command: example(command) for command in asked}
    assert {command for command, found in examples.items() if found is None} == BROKEN
    lacking = {
        command: sorted(members(examples[command]) - members(answer))
        for command, answer in asked.items()
    }
    assert {command: paths for command, paths in lacking.items() if paths} == {}
