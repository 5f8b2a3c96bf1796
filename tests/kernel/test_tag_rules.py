"""Tag policies that are enforced: what calls may tag, from when on, and what it costs nobody."""

from __future__ import annotations

from typing import Any

import pytest

from doppio.kernel.tag_rules import TagRule, put_tag_rules, tags_in
from tests.services.iam.helpers import user
from tests.services.world import ACCOUNT, OTHER, World, refusal, told


@pytest.mark.parametrize(
    ("req", "tags"),
    [
        ({"Tags": [{"Key": "a", "Value": "b"}]}, {"a": "b"}),
        ({"Tags": [{"TagKey": "a", "TagValue": "b"}]}, {"a": "b"}),
        ({"tags": {"a": "b"}}, {"a": "b"}),
        ({"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}, {"a": "b"}),
        ({"Tagging": "a=b"}, {}),
        ({"Tags": ["a", {"Key": 1}]}, {}),
        ({}, {}),
    ],
)
def test_tags_are_found_in_all_of_awss_shapes(req: dict[str, Any], tags: dict[str, str]) -> None:
    assert tags_in(req) == tags


async def enforce(world: World, *rules: TagRule, account: str = ACCOUNT) -> None:
    async def body(tx: Any) -> None:
        await put_tag_rules(tx, account, rules)

    await world.cloud.context_for("", "").transact(body)


async def queue(world: World, name: str, account: str = ACCOUNT, **tags: str) -> None:
    await world.call("sqs", "create_queue", account=account, QueueName=name, tags=tags)


@told
async def test_rules_count_for_the_next_call_and_are_forgotten(world: World) -> None:
    await queue(world, "before", team="x")
    # Nobody has a rule: from the first call on nothing is looked up.
    assert not world.cloud._tags.wanted
    await enforce(world, TagRule("Team", ("bar", "shop*"), ("sqs:queue",)))
    assert (await refusal(queue(world, "one", Team="x")))[0] == "TagPolicyException"
    assert (await refusal(queue(world, "one", TEAM="bar")))[0] == "TagPolicyException"
    await queue(world, "one", Team="shopping", other="x")
    await queue(world, "theirs", OTHER, Team="x")
    await enforce(world, TagRule("Team", None, ("sqs:*",)))
    await queue(world, "two", Team="x")
    assert (await refusal(queue(world, "three", team="x")))[0] == "TagPolicyException"
    await enforce(world)
    await queue(world, "three", team="x")
    assert not world.cloud._tags.wanted


@told
async def test_a_type_that_is_not_named_is_free(world: World) -> None:
    await enforce(world, TagRule("Team", ("bar",), ("sqs:dead-letter", "sns:topic")))
    await queue(world, "one", Team="x")
    topic = {"Name": "t", "Tags": [{"Key": "Team", "Value": "x"}]}
    assert (await refusal(world.call("sns", "create_topic", **topic)))[0] == "TagPolicyException"
    await enforce(world, TagRule("Team", ("bar",), ("sqs:ALL_SUPPORTED",)))
    assert (await refusal(queue(world, "two", Team="x")))[0] == "TagPolicyException"
    await world.call("sns", "create_topic", **topic)


@told
async def test_the_caller_must_have_been_let_in_first(world: World) -> None:
    await enforce(world, TagRule("Team", ("bar",), ("sqs:queue",)))
    nobody = await user(world)
    call = world.call("sqs", "create_queue", caller=nobody, QueueName="q", tags={"Team": "x"})
    assert "not authorized" in (await refusal(call))[1]
