"""Control policies of organisations: what they bind, whom, and from when on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from doppio.kernel import forward
from doppio.kernel.audit import Denial
from doppio.kernel.authorise import forget_resource, judge, put_resource
from doppio.kernel.guardrails import (
    Bearing,
    Guardrail,
    Kind,
    Place,
    forget_guardrail,
    forget_place,
    place_of,
    put_guardrail,
    put_place,
)
from doppio.kernel.identity import ANONYMOUS, ISSUER, Caller, root_of, service_caller
from doppio.kernel.policy import PolicySet, compile_policy
from doppio.kernel.service import Need
from doppio.wire.errors import AccessDenied
from tests.services.world import ACCOUNT, OTHER, World, refused, told

MASTER = "999999999999"
ORG, ROOT, UNIT = "o-cafe123456", "r-cafe", "ou-cafe-kitchen1"
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"
TABLE = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/orders"
SEND = Need("sqs:SendMessage", QUEUE)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def says(effect: str, action: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": "*", **more}


FULL = policy(says("Allow"))
NO_SENDING = policy(says("Deny", "sqs:SendMessage"))


def user(account: str = ACCOUNT) -> Caller:
    policies = PolicySet(identity=(compile_policy(FULL, "all"),))
    return Caller(
        account, f"arn:aws:iam::{account}:user/barista", "AIDA", "user", policies=policies
    )


def session(role: str = "role/brewing", account: str = ACCOUNT) -> Caller:
    arn = f"arn:aws:sts::{account}:assumed-role/{role.rpartition('/')[2]}/shift"
    return replace(
        user(account), arn=arn, id="AROA:shift", kind="assumed-role",
        session={ISSUER: f"arn:aws:iam::{account}:{role}"},
    )  # fmt: skip


async def join(world: World, account: str = ACCOUNT, *path: str) -> None:
    """Put an account into the organisation."""
    async with world.cloud.root_context().write() as tx:
        place = Place(
            account=account, organization=ORG, path=(*(path or (ROOT, UNIT)), account),
            master=MASTER, management=account == MASTER,
        )  # fmt: skip
        put_place(tx, place)


async def hang(world: World, target: str, *documents: str, kind: Kind = "scp") -> None:
    """Hang policies on a target, in place of those that are there."""
    named = tuple((f"p{number}", text) for number, text in enumerate(documents, 1))
    async with world.cloud.root_context().write() as tx:
        put_guardrail(tx, Guardrail(target=target, kind=kind, policies=named))


async def everywhere(world: World, kind: Kind = "scp") -> None:
    """The kind enabled, and all of it allowed, as Organizations begins."""
    for target in (ROOT, UNIT, ACCOUNT):
        await hang(world, target, FULL, kind=kind)


async def own(world: World, document: str | None = None, account: str = ACCOUNT) -> None:
    """Say whose the queue is, and which policy hangs on it."""
    async with world.cloud.root_context().write() as tx:
        put_resource(tx, QUEUE, account, document)


async def refusal(world: World, caller: Caller, need: Need = SEND) -> str:
    """Why a need is refused; empty where it is granted."""
    context = world.cloud.context(
        caller, account=ACCOUNT, region="us-east-1", request_id=world.cloud.ids.uuid()
    )
    try:
        await world.cloud.authorise(context, need)
    except AccessDenied as error:
        return str(error.message)
    return ""


async def may(world: World, caller: Caller, need: Need = SEND) -> bool:
    return not await refusal(world, caller, need)


@told
async def test_a_control_policy_binds_users_sessions_and_root_from_the_next_call_on(
    world: World,
) -> None:
    await own(world)
    await join(world)
    federated = replace(user(), kind="federated-user")
    callers = [user(), session(), root_of(ACCOUNT), federated]
    for caller in callers:
        assert await may(world, caller)
    await everywhere(world)
    for caller in callers:
        assert await may(world, caller)
    for target in (ROOT, UNIT, ACCOUNT):
        await hang(world, target, FULL, NO_SENDING)
        for caller in callers:
            said = await refusal(world, caller)
            assert said.endswith("with an explicit deny in a service control policy"), said
            assert await may(world, caller, Need("sqs:ReceiveMessage", QUEUE))
        await hang(world, target, FULL)
        for caller in callers:
            assert await may(world, caller)


def test_what_an_organisation_says_comes_to_all_else_that_is_there() -> None:
    one = compile_policy(FULL, "all")
    had = PolicySet(
        identity=(one,), resource=one, boundary=one, session=(one,), resource_arn=QUEUE,
        narrowed=(one,),
    )  # fmt: skip
    bound = Bearing(scps=((one,),), rcps=((one,), (one,))).over(had)
    assert bound == replace(had, scps=((one,),), rcps=((one,), (one,)))


@told
async def test_every_level_must_allow_and_one_without_policies_allows_nothing(
    world: World,
) -> None:
    await own(world)
    await join(world)
    await everywhere(world)
    for target in (ROOT, UNIT, ACCOUNT):
        await hang(world, target, policy(says("Allow", "s3:*")))
        said = await refusal(world, root_of(ACCOUNT))
        assert said.endswith("because no service control policy allows the sqs:sendmessage action")
        await hang(world, target)
        assert not await may(world, user())
        await hang(world, target, FULL)
    async with world.cloud.root_context().write() as tx:
        forget_guardrail(tx, UNIT, "scp")
    assert not await may(world, user())
    # Without a row on the root, the kind is disabled.
    async with world.cloud.root_context().write() as tx:
        forget_guardrail(tx, ROOT, "scp")
    assert await may(world, user())


@told
async def test_an_account_that_moves_or_leaves_is_bound_by_where_it_stands(world: World) -> None:
    await own(world)
    await everywhere(world)
    await hang(world, UNIT, NO_SENDING)
    assert await may(world, root_of(ACCOUNT))
    await join(world)
    assert not await may(world, root_of(ACCOUNT))
    await join(world, ACCOUNT, ROOT)
    assert await may(world, root_of(ACCOUNT))
    await join(world)
    assert not await may(world, root_of(ACCOUNT))
    reader = world.cloud.root_context().read()
    found = await place_of(reader, ACCOUNT)
    assert found is not None
    assert found.path == (ROOT, UNIT, ACCOUNT)
    async with world.cloud.root_context().write() as tx:
        forget_place(tx, ACCOUNT)
    assert await may(world, root_of(ACCOUNT))
    assert await place_of(world.cloud.root_context().read(), ACCOUNT) is None


@told
async def test_nothing_binds_the_management_account_and_those_outside(world: World) -> None:
    await join(world)
    await join(world, MASTER, ROOT)
    for kind in ("scp", "rcp"):
        await hang(world, ROOT, NO_SENDING, kind=kind)  # type: ignore[arg-type]
    theirs = f"arn:aws:sqs:us-east-1:{MASTER}:orders"
    assert await may(world, root_of(MASTER), Need("sqs:SendMessage", theirs))
    assert await may(world, user(MASTER), Need("sqs:SendMessage", theirs))
    others = f"arn:aws:sqs:us-east-1:{OTHER}:orders"
    assert await may(world, user(OTHER), Need("sqs:SendMessage", others))
    assert not await may(world, root_of(ACCOUNT))


@told
async def test_services_and_their_linked_roles_go_where_service_control_policies_bind(
    world: World,
) -> None:
    service = {"Service": "sns.amazonaws.com"}
    await own(world, policy(says("Allow", Principal=service)))
    await join(world)
    await everywhere(world)
    await hang(world, ACCOUNT, NO_SENDING)
    assert await may(world, service_caller("sns", ACCOUNT, QUEUE))
    linked = session("role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX")
    assert await may(world, linked)
    assert not await may(world, session("role/aws-service-roles/x/AWSServiceRoleForX"))
    await everywhere(world, "rcp")
    await hang(world, ACCOUNT, NO_SENDING, kind="rcp")
    assert await may(world, linked)


@told
async def test_a_resource_control_policy_binds_whoever_comes(world: World) -> None:
    await own(world, policy(says("Allow", Principal="*")))
    await join(world)
    await everywhere(world, "rcp")
    callers = [
        user(), root_of(ACCOUNT), user(OTHER), root_of(OTHER), session(), ANONYMOUS,
        service_caller("sns", ACCOUNT, QUEUE),
    ]  # fmt: skip
    for caller in callers:
        assert await may(world, caller), caller.arn
    await hang(world, UNIT, FULL, policy(says("Deny", "sqs:*", Principal="*")), kind="rcp")
    for caller in callers:
        said = await refusal(world, caller)
        assert said.endswith("with an explicit deny in a resource control policy"), caller.arn
    await hang(world, UNIT, kind="rcp")
    said = await refusal(world, user(OTHER))
    assert said.endswith("because no resource control policy allows the sqs:sendmessage action")
    # The account's users at resources of others are no matter of its own resource policies.
    await own(world, policy(says("Allow", Principal="*")), account=OTHER)
    assert await may(world, user())


@told
async def test_a_resource_control_policy_binds_only_services_that_take_part(world: World) -> None:
    await join(world)
    await everywhere(world, "rcp")
    await hang(world, ACCOUNT, policy(says("Deny", Principal="*")), kind="rcp")
    assert await may(world, root_of(ACCOUNT), Need("events:PutEvents", TABLE))
    assert await may(world, user(), Need("events:PutEvents", TABLE))
    assert not await may(world, root_of(ACCOUNT))
    # Where no resource is named, nothing is of the account's.
    assert await may(world, user(), Need("sqs:ListQueues"))


@told
async def test_a_service_is_told_from_others_by_resource_control_policies(world: World) -> None:
    """AWS's example against confused deputies: services may come for the organisation's alone."""
    await own(world, policy(says("Allow", Principal="*")))
    await join(world)
    await join(world, MASTER, ROOT)
    await everywhere(world, "rcp")
    deputies = says(
        "Deny", "sqs:*", Principal="*",
        Condition={
            "StringNotEqualsIfExists": {"aws:SourceOrgID": ORG},
            "Null": {"aws:SourceAccount": "false"},
            "Bool": {"aws:PrincipalIsAWSService": "true"},
        },
    )  # fmt: skip
    await hang(world, ROOT, FULL, policy(deputies), kind="rcp")
    for account, expected in ((ACCOUNT, True), (MASTER, True), (OTHER, False)):
        topic = f"arn:aws:sns:us-east-1:{account}:news"
        for _ in range(2):
            assert await may(world, service_caller("sns", account, topic)) is expected
    assert await may(world, user(OTHER))


@told
async def test_what_was_remembered_of_a_root_is_forgotten_when_its_account_is_bound(
    world: World,
) -> None:
    await own(world, policy(says("Allow", Principal="*")))
    for _ in range(3):
        assert await may(world, root_of(ACCOUNT))
    await everywhere(world)
    await join(world)
    assert await may(world, root_of(ACCOUNT))
    await hang(world, UNIT, NO_SENDING)
    for _ in range(3):
        assert not await may(world, root_of(ACCOUNT))
    await hang(world, UNIT, FULL)
    assert await may(world, root_of(ACCOUNT))


@pytest.mark.parametrize(
    ("key", "value", "inside", "outside"),
    [
        ("aws:PrincipalOrgID", ORG, True, False),
        ("aws:PrincipalOrgID", "o-other", False, False),
        ("aws:PrincipalOrgPaths", f"{ORG}/{ROOT}/{UNIT}/", True, False),
        ("aws:PrincipalOrgPaths", f"{ORG}/*/{UNIT}/*", True, False),
        ("aws:PrincipalOrgPaths", f"{ORG}/{ROOT}/", False, False),
        ("aws:ResourceOrgID", ORG, True, True),
        ("aws:ResourceOrgPaths", f"{ORG}/{ROOT}/{UNIT}/", True, True),
        ("aws:SourceOrgID", ORG, False, False),
    ],
)
def test_policies_may_ask_where_accounts_stand(
    key: str, value: str, inside: bool, outside: bool
) -> None:
    operator = "ForAnyValue:StringLike" if key.endswith("Paths") else "StringEquals"
    document = policy(says("Allow", Principal="*", Condition={operator: {key: value}}))

    @told
    async def ask(world: World) -> None:
        await own(world, document)
        await join(world)
        nothing = replace(user(), policies=PolicySet())
        assert await may(world, nothing) is inside
        assert await may(world, user(OTHER)) is outside

    ask()


@told
async def test_a_policy_by_organisation_follows_accounts_that_join_and_leave(world: World) -> None:
    mine = {"StringEquals": {"aws:PrincipalOrgID": ORG}}
    await own(world, policy(says("Allow", Principal="*", Condition=mine)))
    for _ in range(2):
        assert not await may(world, root_of(OTHER))
    await join(world, OTHER)
    assert await may(world, root_of(OTHER))
    await join(world, MASTER, ROOT)
    assert await may(world, root_of(MASTER))
    async with world.cloud.root_context().write() as tx:
        forget_place(tx, OTHER)
    assert not await may(world, root_of(OTHER))
    source = {"StringEquals": {"aws:SourceOrgID": ORG}}
    await own(world, policy(says("Allow", Principal="*", Condition=source)))
    for account, expected in ((OTHER, False), (MASTER, True)):
        topic = f"arn:aws:sns:us-east-1:{account}:news"
        assert await may(world, service_caller("sns", ACCOUNT, topic)) is expected


@told
async def test_services_that_judge_by_policies_of_their_own_are_bound_too(world: World) -> None:
    await join(world)
    await everywhere(world)
    await everywhere(world, "rcp")
    role = f"arn:aws:iam::{ACCOUNT}:role/brewing"
    trust = compile_policy(
        policy({
            "Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": ORG}},
        })
    )  # fmt: skip
    need = Need("sts:AssumeRole", role)

    async def trusted(caller: Caller) -> bool:
        context = world.cloud.context(caller, account=ACCOUNT, region="r", request_id="r")
        policies = (caller.policies or PolicySet()).with_resource(trust, role)
        return (await judge(context, need, ACCOUNT, policies)).allowed

    assert await trusted(user())
    assert not await trusted(user(OTHER))
    await hang(world, UNIT, FULL, policy(says("Deny", "sts:*")))
    assert not await trusted(user())
    await hang(world, UNIT, FULL)
    await hang(world, UNIT, FULL, policy(says("Deny", "sts:*", Principal="*")), kind="rcp")
    assert not await trusted(user())


@told
async def test_a_denial_names_each_level_and_what_hangs_there(world: World) -> None:
    await own(world)
    await join(world)
    await hang(world, ROOT, FULL)
    await hang(world, UNIT, FULL, NO_SENDING)
    assert not await may(world, user())
    await world.settle()
    [denial] = await world.cloud.root_context().read().list(Denial, limit=5)
    assert denial.considered == [
        f"service control policy p1 on {ROOT}",
        f"service control policy p1 on {UNIT}",
        f"service control policy p2 on {UNIT}: denies by statement 1",
        f"service control policy (none) on {ACCOUNT}",
        "identity-based policy all",
    ]
    await hang(world, UNIT, FULL)
    assert not await may(world, user())
    await world.settle()
    denials = await world.cloud.root_context().read().list(Denial, limit=5)
    [silent] = [one for one in denials if one.request_id != denial.request_id]
    assert silent.considered == [
        f"service control policy p1 on {ROOT}",
        f"service control policy p1 on {UNIT}",
        f"service control policy (none) on {ACCOUNT}: does not allow it",
        "identity-based policy all",
    ]


@told
async def test_what_binds_survives_a_crash(world: World) -> None:
    await own(world)
    await join(world)
    await everywhere(world)
    await hang(world, UNIT, NO_SENDING)
    after = world.again()
    await after.start()
    try:
        assert not await may(after, root_of(ACCOUNT))
    finally:
        await after.close()


@told
async def test_work_that_goes_on_for_a_caller_is_bound_as_it_stands_then(world: World) -> None:
    await own(world)
    kept = forward.keep(user(), "dynamodb")
    home = world.cloud.context(root_of(ACCOUNT), account=ACCOUNT, region="r", request_id="r")
    await forward.again(home, kept).authorise("sqs:SendMessage", QUEUE)
    await join(world)
    await everywhere(world)
    await hang(world, UNIT, FULL, NO_SENDING)
    with pytest.raises(AccessDenied, match="service control policy"):
        await forward.again(home, kept).authorise("sqs:SendMessage", QUEUE)


@told
async def test_a_policy_that_is_gone_binds_no_more(world: World) -> None:
    await own(world)
    await join(world)
    await everywhere(world)
    await hang(world, UNIT, NO_SENDING)
    assert not await may(world, user())
    async with world.cloud.root_context().write() as tx:
        forget_resource(tx, QUEUE)
        put_guardrail(tx, Guardrail(target=UNIT, kind="scp", policies=(("p1", FULL),)))
    assert await may(world, user())


@told
async def test_who_would_lock_himself_out_is_judged_by_where_he_stands_too(world: World) -> None:
    await join(world)
    for organisation, fits in ((ORG, True), ("o-other", False)):
        mine = {"StringEquals": {"aws:PrincipalOrgID": organisation}}
        document = policy(says("Allow", "kms:*", Principal={"AWS": ACCOUNT}, Condition=mine))
        call = world.call("kms", "create_key", Policy=document)
        if fits:
            assert (await call)["KeyMetadata"]["AWSAccountId"] == ACCOUNT
        else:
            assert (await refused(call)).code == "MalformedPolicyDocumentException"
