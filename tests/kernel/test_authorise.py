from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel import authorise
from doppio.kernel.audit import Denial
from doppio.kernel.authorise import (
    check_policy_document,
    forget_resource,
    put_resource,
    resource_policy,
)
from doppio.kernel.identity import ANONYMOUS, Caller, canonical_user, root_of, service_caller
from doppio.kernel.policy import PolicySet, compile_policy, evaluate
from doppio.kernel.service import Granted, Need
from doppio.wire.errors import AccessDenied
from tests.services.world import ACCOUNT, OTHER, World, told

CAFE = "arn:aws:s3:::cafe"
MENU = f"{CAFE}/menu"


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str = "s3:GetObject", resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def user(*documents: str, account: str = ACCOUNT, name: str = "barista") -> Caller:
    policies = PolicySet(
        identity=tuple(
            compile_policy(text, name=f"policy-{number}") for number, text in enumerate(documents)
        )
    )
    return Caller(account, f"arn:aws:iam::{account}:user/{name}", "AIDA", "user", policies=policies)


READ_MENU = Need("s3:GetObject", MENU, {}, CAFE)


async def may(world: World, caller: Caller, need: Need = READ_MENU) -> bool:
    context = world.cloud.context(
        caller, account=ACCOUNT, region="us-east-1", request_id=world.cloud.ids.uuid()
    )
    try:
        await world.cloud.authorise(context, need)
    except AccessDenied:
        return False
    return True


async def own(world: World, document: str | None = None, account: str = ACCOUNT) -> None:
    """Say whose the café's bucket is, and which policy hangs on it."""
    async with world.cloud.root_context().write() as tx:
        from doppio.kernel.authorise import Resource

        await tx.get(Resource, CAFE)
        put_resource(tx, CAFE, account, document)


@told
async def test_an_accounts_root_may_do_everything_with_what_is_its_own(world: World) -> None:
    await own(world)
    assert await may(world, root_of(ACCOUNT))
    assert not await may(world, root_of(OTHER))
    assert not await may(world, ANONYMOUS)


@told
async def test_a_user_may_do_what_its_policies_say(world: World) -> None:
    await own(world)
    assert not await may(world, user())
    assert await may(world, user(policy(allow())))
    assert not await may(world, user(policy(allow("s3:PutObject"))))
    denied = policy(allow("s3:*"), {"Effect": "Deny", "Action": "s3:Get*", "Resource": MENU})
    assert not await may(world, user(denied))


@told
async def test_a_resources_policy_lets_in_and_shuts_out(world: World) -> None:
    stranger = user(policy(allow()), account=OTHER, name="stranger")
    await own(world)
    assert not await may(world, stranger)
    opened = policy(allow(Principal={"AWS": stranger.arn}))
    await own(world, opened)
    assert await may(world, stranger)
    assert not await may(world, user(account=OTHER, name="stranger")), "both sides must allow"
    closed = policy({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"})
    await own(world, closed)
    assert not await may(world, root_of(ACCOUNT))
    await own(world, None)
    assert await may(world, root_of(ACCOUNT))


@told
async def test_a_policy_counts_from_its_commit_on_and_is_forgotten_with_its_resource(
    world: World,
) -> None:
    opened = policy(allow(Principal="*"))
    await own(world, opened)
    assert await may(world, ANONYMOUS)
    assert await resource_policy(world.cloud.root_context().read(), CAFE) == opened
    async with world.cloud.root_context().write() as tx:
        from doppio.kernel.authorise import Resource

        await tx.get(Resource, CAFE)
        forget_resource(tx, CAFE)
    assert not await may(world, ANONYMOUS)
    assert await resource_policy(world.cloud.root_context().read(), CAFE) is None


@told
async def test_what_lies_in_a_resource_is_bound_by_its_policy_too(world: World) -> None:
    shelf = Need("s3:GetObject", MENU)
    stranger = user(policy(allow()), account=OTHER, name="stranger")

    async def tell(above: str | None, own_policy: str | None = None) -> None:
        await own(world, above)
        async with world.cloud.root_context().write() as tx:
            put_resource(tx, MENU, ACCOUNT, own_policy, under=CAFE)

    await tell(None)
    assert await may(world, root_of(ACCOUNT), shelf)
    assert not await may(world, stranger, shelf)
    opened = policy(allow(Principal={"AWS": stranger.arn}))
    await own(world, opened)
    assert await may(world, stranger, shelf), "what was known of it is forgotten, too"
    closed = policy({"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"})
    await tell(opened, closed)
    assert not await may(world, stranger, shelf)
    await tell(closed, opened)
    assert not await may(world, stranger, shelf), "either may deny"
    await tell(None, opened)
    assert await may(world, stranger, shelf), "either may allow"


@told
async def test_a_service_is_let_in_for_the_resource_it_acts_for(world: World) -> None:
    topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:news"
    await own(
        world,
        policy(
            allow(
                Principal={"Service": "sns.amazonaws.com"},
                Condition={"ArnEquals": {"aws:SourceArn": topic}},
            )
        ),
    )
    assert await may(world, service_caller("sns", ACCOUNT, topic))
    assert not await may(world, service_caller("sns", ACCOUNT, topic + "paper"))
    assert not await may(world, service_caller("s3", ACCOUNT, topic))


@told
async def test_what_was_decided_of_a_service_holds_until_the_policy_changes(world: World) -> None:
    topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:news"
    one, other = service_caller("sns", ACCOUNT, topic), service_caller("sns", ACCOUNT, topic + "2")
    for named, open_to in ((topic, one), (topic + "2", other), ("arn:aws:sns:*:*:news", one)):
        condition = {"ArnLike": {"aws:SourceArn": named}}
        service = {"Service": "sns.amazonaws.com"}
        await own(world, policy(allow(Principal=service, Condition=condition)))
        for _ in range(3):
            for caller in (one, other):
                assert await may(world, caller) is (caller is open_to)
            assert not await may(world, one, Need("s3:PutObject", MENU, {}, CAFE))
            assert not await may(world, one, Need("s3:GetObject", MENU[:-1], {}, CAFE + "2"))


@told
async def test_many_calls_of_a_service_ask_the_policy_once(world: World) -> None:
    asked = 0

    def counted(request: Any, policies: Any) -> Any:
        nonlocal asked
        asked += 1
        return evaluate(request, policies)

    await own(world, policy(allow(Principal={"Service": "sns.amazonaws.com"})))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authorise, "evaluate", counted)
        patch.setattr(authorise, "DECISIONS_MAX", 2)
        for _ in range(4):
            assert await may(world, service_caller("sns", ACCOUNT))
        assert asked == 1
        for number in range(4):
            assert await may(world, service_caller("sns", ACCOUNT, f"arn:{number}"))
        assert asked == 5


@told
async def test_a_root_is_judged_once_by_what_only_its_account_decides(world: World) -> None:
    asked = 0

    def counted(request: Any, policies: Any) -> Any:
        nonlocal asked
        asked += 1
        return evaluate(request, policies)

    # A key that no call has, as in the policy that SNS gives new topics.
    owner = {"StringEquals": {"AWS:SourceOwner": ACCOUNT}}
    guests = {"StringEquals": {"aws:PrincipalAccount": OTHER}}
    await own(
        world, policy(allow(Principal="*", Condition=owner), allow(Principal="*", Condition=guests))
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(authorise, "evaluate", counted)
        for _ in range(3):
            assert await may(world, root_of(ACCOUNT))
            assert not await may(world, root_of("111122223333"))
        assert asked == 2
        context = {"aws:sourceowner": ACCOUNT}
        stranger = Need("s3:GetObject", MENU, context, CAFE)
        for _ in range(3):
            assert await may(world, root_of("111122223333"), stranger)
        assert asked == 5
        # Whoever has policies of its own is judged each time.
        for _ in range(3):
            assert not await may(world, user(account="111122223333"))
        assert asked == 8
    locked = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
    await own(world, policy(locked))
    assert not await may(world, root_of(ACCOUNT))


@told
async def test_a_policy_that_asks_for_more_than_who_calls_is_asked_each_time(world: World) -> None:
    service, sns = {"Service": "sns.amazonaws.com"}, service_caller("sns", ACCOUNT)
    until = {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:01:00Z"}}
    await own(world, policy(allow(Principal=service, Condition=until)))
    assert await may(world, sns)
    await world.advance(61)
    assert not await may(world, sns)
    prefix = {"StringEquals": {"s3:prefix": "${s3:delimiter}"}}
    await own(world, policy(allow(Principal=service, Condition=prefix)))
    for given, expected in (("a", True), ("b", False)):
        context = {"s3:prefix": "a", "s3:delimiter": given}
        assert await may(world, sns, Need("s3:GetObject", MENU, context, CAFE)) is expected
    source = {"StringEquals": {"aws:SourceArn": "here"}}
    await own(world, policy(allow(Principal=service, Condition=source)))
    for here, expected in (("here", True), ("there", False)):
        context = {"aws:sourcearn": here}
        assert await may(world, sns, Need("s3:GetObject", MENU, context, CAFE)) is expected


@told
async def test_a_denial_says_why_and_names_what_was_looked_at(world: World) -> None:
    await own(world)
    caller = user(policy({"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}))
    assert not await may(world, caller)
    await world.settle()
    [denial] = await world.cloud.root_context().read().list(Denial, limit=5)
    assert denial.message == (
        f'User: {caller.arn} is not authorized to perform: s3:GetObject on resource: "{MENU}" '
        "with an explicit deny in an identity-based policy"
    )
    assert any("policy-0" in line for line in denial.considered)


class Reads:
    """Knows one condition key and one list, and counts how often it is asked."""

    def __init__(self, owner: str = ACCOUNT) -> None:
        self.reads = 0
        self._owner = owner

    def knows(self, key: str) -> bool:
        return key == "s3:kind"

    async def conditions(self, ctx: Any, need: Need) -> dict[str, Any]:
        self.reads += 1
        return {"s3:kind": "menu"}

    async def grants(self, ctx: Any, need: Need) -> Granted | None:
        self.reads += 1
        statement = allow(Principal={"CanonicalUser": canonical_user("111111111111")})
        return Granted(self._owner, {"Version": "2012-10-17", "Statement": [statement]})


@told
async def test_what_must_be_read_is_read_only_where_it_decides(world: World) -> None:
    await own(world)
    beyond = Reads()
    need = READ_MENU._replace(beyond=beyond)
    assert await may(world, user(policy(allow())), need)
    assert beyond.reads == 0
    kinds = {"StringEquals": {"s3:kind": "menu"}}
    assert await may(world, user(policy(allow(Condition=kinds))), need)
    assert beyond.reads == 1
    others = {"StringEquals": {"s3:kind": "bill"}}
    assert not await may(world, user(policy(allow(Condition=others))), need)


@told
async def test_a_list_lets_an_account_in_whose_policies_agree(world: World) -> None:
    await own(world)
    need = READ_MENU._replace(beyond=Reads())
    assert await may(world, user(policy(allow()), account="111111111111"), need)
    assert not await may(world, user(account="111111111111"), need)
    assert not await may(world, user(policy(allow()), account="222222222222"), need)
    denial = {**allow(), "Effect": "Deny"}
    assert not await may(world, user(policy(allow(), denial), account="111111111111"), need)
    await own(world, policy({**denial, "Principal": "*"}))
    assert not await may(world, user(policy(allow()), account="111111111111"), need)


def test_a_canonical_user_id_is_stable_and_hexadecimal() -> None:
    one = canonical_user("111122223333")
    assert len(bytes.fromhex(one)) == 32
    assert one == canonical_user("111122223333") != canonical_user("111122223334")


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        "{}",
        policy(allow()),
        policy({"Effect": "Perhaps", "Principal": "*", "Action": "s3:*", "Resource": "*"}),
    ],
)
def test_what_is_no_resource_policy_is_refused(document: str) -> None:
    with pytest.raises(ValueError):
        check_policy_document(document, needs_principal=True)


@told
async def test_policies_may_ask_whether_a_service_speaks_for_the_caller(world: World) -> None:
    await own(world)
    direct = {"Bool": {"aws:ViaAWSService": "false"}}
    through = {"Bool": {"aws:ViaAWSService": "true"}}
    for condition, expected in ((direct, (True, False)), (through, (False, True))):
        caller = user(policy(allow(Condition=condition)))
        context = world.cloud.context(
            caller, account=ACCOUNT, region="us-east-1", request_id=world.cloud.ids.uuid()
        )
        found = []
        for asking in (context, context.via("dynamodb")):
            try:
                await world.cloud.authorise(asking, READ_MENU)
            except AccessDenied:
                found.append(False)
            else:
                found.append(True)
        assert tuple(found) == expected
    service = {"Service": "sns.amazonaws.com"}
    named = {"ForAnyValue:StringEquals": {"aws:PrincipalServiceNamesList": ["sns.amazonaws.com"]}}
    await own(world, policy(allow(Principal="*", Condition=named)))
    for _ in range(2):
        assert await may(world, service_caller("sns", ACCOUNT))
        assert not await may(world, service_caller("s3", ACCOUNT))
    await own(world, policy(allow(Principal=service, Condition=through)))
    assert not await may(world, service_caller("sns", ACCOUNT))
