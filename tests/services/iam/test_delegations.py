"""Delegation requests: who takes them on, who says yes, and what may then be done by whom."""

from __future__ import annotations

import json
from typing import Any

import pytest

from doppio.kernel.identity import Caller
from tests.services.crashes import Told, crash_everywhere
from tests.services.iam.helpers import document, iam, role, user
from tests.services.sts.test_chains import assume, may
from tests.services.world import ACCOUNT, OTHER, World, refusal, refused, told

TOPIC = f"arn:aws:sns:us-east-1:{OTHER}:updates"
QUEUE = f"arn:aws:sqs:us-east-1:{OTHER}:updates"
TEMPLATE = f"arn:aws:iam::{OTHER}:policy/queues"
FILLED = [{"Name": "queue", "Values": ["orders"], "Type": "string"}]
HOUR = 3_600


async def partner(world: World, method: str, service: str = "iam", **req: Any) -> Any:
    """Call as the other account's root."""
    return await world.call(service, method, account=OTHER, **req)


async def onboard(world: World, policy: str | None = None) -> None:
    """The other account's template, and its topic with a queue behind it."""
    text = policy or document(
        "sqs:CreateQueue", "sqs:GetQueueUrl", "iam:ListUsers", resource="*",
        Condition={"StringNotEquals": {"aws:RequestTag/never": "@{queue}"}},
    )  # fmt: skip
    await partner(world, "create_policy", PolicyName="queues", PolicyDocument=text)
    await partner(world, "create_topic", "sns", Name="updates")
    await partner(
        world, "set_topic_attributes", "sns", TopicArn=TOPIC, AttributeName="Policy",
        AttributeValue=document(
            "sns:Publish", resource=TOPIC, Principal={"Service": "iam.amazonaws.com"}
        ),
    )  # fmt: skip
    await partner(
        world, "create_queue", "sqs", QueueName="updates",
        Attributes={"Policy": document("sqs:SendMessage", resource=QUEUE, Principal="*")},
    )  # fmt: skip
    await partner(
        world, "subscribe", "sns", TopicArn=TOPIC, Protocol="sqs", Endpoint=QUEUE,
        Attributes={"RawMessageDelivery": "true"},
    )  # fmt: skip


async def asked(world: World, workflow: str = "workflow-1", **more: Any) -> str:
    """The id of a request that the other account has made."""
    req = {
        "Description": "makes queues", "RequestorWorkflowId": workflow, "SessionDuration": HOUR,
        "NotificationChannel": TOPIC,
        "Permissions": {"PolicyTemplateArn": TEMPLATE, "Parameters": FILLED},
        "OwnerAccountId": ACCOUNT, **more,
    }  # fmt: skip
    made = await partner(world, "create_delegation_request", **req)
    return str(made["DelegationRequestId"])


async def heard(world: World) -> list[dict[str, Any]]:
    """What the requestor has been told."""
    await world.settle()
    url = (await partner(world, "get_queue_url", "sqs", QueueName="updates"))["QueueUrl"]
    found = []
    while True:
        got = await partner(world, "receive_message", "sqs", QueueUrl=url, MaxNumberOfMessages=10)
        if not got.get("Messages"):
            return found
        found += [json.loads(one["Body"]) for one in got["Messages"]]


async def do(
    world: World, step: str, wanted: str, caller: Caller | None = None, **more: Any
) -> Any:
    """A step of the account to which the request is made."""
    method = "send_delegation_token" if step == "send" else f"{step}_delegation_request"
    return await world.call("iam", method, caller=caller, DelegationRequestId=wanted, **more)


async def shown(world: World, wanted: str, **more: Any) -> Any:
    """A request as its account sees it."""
    return (await do(world, "get", wanted, **more))["DelegationRequest"]


async def sent(world: World, caller: Caller | None = None, **more: Any) -> str:
    """The token of a request that somebody has approved."""
    wanted = await asked(world, **more)
    for step in ("associate", "accept", "send"):
        await do(world, step, wanted, caller)
    (token,) = [one["ExchangeToken"] for one in await heard(world) if "ExchangeToken" in one]
    return str(token)


async def trade(world: World, token: str, account: str = OTHER) -> Any:
    """What a token is traded in for."""
    return await world.call(
        "sts", "get_delegated_access_token", account=account, TradeInToken=token
    )


@told
async def test_a_request_goes_from_hand_to_hand_and_its_requestor_hears_of_it(world: World) -> None:
    await onboard(world)
    wanted = await asked(world, RequestMessage="please", RedirectUrl="https://partner.example/x")
    one = await shown(world, wanted)
    assert (one["State"], one["OwnerAccountId"], one["RequestorId"]) == ("ASSIGNED", ACCOUNT, OTHER)
    assert one["Permissions"] == {"PolicyTemplateArn": TEMPLATE, "Parameters": FILLED}
    assert json.loads(one["PermissionPolicy"])["Statement"][0]["Condition"] == {
        "StringNotEquals": {"aws:RequestTag/never": "orders"}
    }
    barista = await user(world, "barista", document("iam:*", "sqs:*"))
    await do(world, "associate", wanted, barista)
    assert (await shown(world, wanted))["OwnerId"] == barista.arn
    await do(world, "update", wanted, barista, Notes="looks fine")
    one = await shown(world, wanted)
    assert (one["State"], one["Notes"]) == ("PENDING_APPROVAL", "looks fine")
    await do(world, "accept", wanted)
    one = await shown(world, wanted)
    assert (one["State"], one["ApproverId"]) == ("ACCEPTED", f"arn:aws:iam::{ACCOUNT}:root")
    await do(world, "send", wanted, barista)
    one = await shown(world, wanted)
    assert one["State"] == "FINALIZED"
    assert (one["ExpirationTime"] - world.now).total_seconds() == HOUR
    told_of = await heard(world)
    states = ["ASSIGNED", "PENDING_APPROVAL", "ACCEPTED", "FINALIZED"]
    assert sorted(x["State"] for x in told_of) == sorted(states)
    assert {x["RequestorWorkflowId"] for x in told_of} == {"workflow-1"}


@told
async def test_a_token_is_the_approver_within_the_requests_policy_and_time(world: World) -> None:
    await onboard(world)
    barista = await user(world, "barista", document("iam:*Delegation*", "sqs:CreateQueue", "sns:*"))
    token = await sent(world, barista)
    got = await trade(world, token)
    assert got["AssumedPrincipal"] == barista.arn
    acting = await world.who(got["Credentials"])
    assert (acting.account, acting.arn) == (ACCOUNT, barista.arn)
    assert await may(world, acting, "create_queue", QueueName="orders")
    # The policy allows it, and the approver may not; and the other way round.
    assert not await may(world, acting, "get_queue_url", QueueName="orders")
    error = await refused(world.call("sns", "list_topics", caller=acting))
    assert "no session policy allows" in error.message
    assert (await trade(world, token))["Credentials"] != got["Credentials"]
    await world.advance(HOUR)
    assert (await refused(world.who(got["Credentials"]))).code == "ExpiredToken"
    assert (await refused(trade(world, token))).code == "ExpiredTradeInTokenException"


@told
async def test_an_approver_who_acts_as_a_role_lends_the_role(world: World) -> None:
    await onboard(world)
    arn = await role(world, "brewing", Path="/team/")
    for name, text in (("p", document("iam:*")), ("q", document("sqs:*"))):
        await iam(
            world, "put_role_policy", RoleName="brewing", PolicyName=name, PolicyDocument=text
        )
    token = await sent(world, await assume(world, arn))
    got = await trade(world, token)
    assert got["AssumedPrincipal"] == arn
    acting = await world.who(got["Credentials"])
    assert await may(world, acting, "create_queue", QueueName="orders")
    assert await world.call("iam", "list_users", caller=acting)
    assert not await may(world, acting)
    for name in ("p", "q"):
        await iam(world, "delete_role_policy", RoleName="brewing", PolicyName=name)
    await iam(world, "delete_role", RoleName="brewing")
    await role(world, "brewing", Path="/team/")
    assert (await refused(world.who(got["Credentials"]))).code == "InvalidClientTokenId"
    assert (await refused(trade(world, token))).code == "AccessDenied"


@told
async def test_a_token_is_its_requestors_alone_and_cannot_be_made(world: World) -> None:
    await onboard(world)
    token = await sent(world)
    for account, text in (
        (ACCOUNT, token),
        (OTHER, "bm90aGluZw=="),
        (OTHER, token[:-8] + "AAAAAAA="),
    ):
        assert await refusal(trade(world, text, account)) == (
            "ValidationError", "The trade-in token is not valid."
        )  # fmt: skip
    got = await trade(world, token)
    root = await world.who(got["Credentials"])
    assert await may(world, root, "create_queue", QueueName="orders")
    assert not await may(world, root)


@told
async def test_what_has_been_said_cannot_be_taken_back(world: World) -> None:
    await onboard(world)
    wanted = await asked(world)
    for step in ("accept", "update", "reject", "send"):
        assert (await refused(do(world, step, wanted))).code == "NoSuchEntity", step
    await do(world, "associate", wanted)
    assert (await refused(do(world, "associate", wanted))).code == "InvalidInput"
    assert (await refused(do(world, "send", wanted))).code == "InvalidInput"
    await do(world, "accept", wanted)
    assert (await refused(do(world, "accept", wanted))).code == "ConcurrentModification"
    assert (await refused(do(world, "update", wanted))).code == "InvalidInput"
    await do(world, "reject", wanted, Notes="on second thoughts")
    one = await shown(world, wanted)
    assert (one["State"], one["RejectionReason"]) == ("REJECTED", "on second thoughts")
    for step in ("send", "update", "reject"):
        code, text = await refusal(do(world, step, wanted))
        assert (code, text) == (
            "InvalidInput", f"The delegation request {wanted} is in state REJECTED."
        )  # fmt: skip


@told
async def test_what_nobody_decides_expires_and_is_forgotten(world: World) -> None:
    await onboard(world)
    wanted = await asked(world)
    await do(world, "associate", wanted)
    await world.advance(days=7)
    assert (await shown(world, wanted))["State"] == "EXPIRED"
    assert (await refused(do(world, "accept", wanted))).code == "ConcurrentModification"
    await world.advance(days=7)
    assert (await refused(do(world, "get", wanted))).code == "NoSuchEntity"
    assert await asked(world)


@told
async def test_a_request_to_nobody_is_whoevers_takes_it_on(world: World) -> None:
    await onboard(world)
    wanted = await _to_nobody(world)
    third = "222222222222"
    assert (await shown(world, wanted))["State"] == "UNASSIGNED"
    found = await world.call(
        "iam", "get_delegation_request", account=third, DelegationRequestId=wanted
    )
    assert "OwnerAccountId" not in found["DelegationRequest"]
    await world.call(
        "iam", "associate_delegation_request", account=third, DelegationRequestId=wanted
    )
    error = await refused(do(world, "get", wanted))
    assert error.code == "AccessDeniedException"
    mine = await world.call("iam", "list_delegation_requests", account=third)
    assert [one["DelegationRequestId"] for one in mine["DelegationRequests"]] == [wanted]
    assert (await iam(world, "list_delegation_requests"))["DelegationRequests"] == []


async def _to_nobody(world: World) -> str:
    made = await partner(
        world, "create_delegation_request", Description="makes queues", SessionDuration=HOUR,
        RequestorWorkflowId="workflow-9", NotificationChannel=TOPIC,
        Permissions={"PolicyTemplateArn": TEMPLATE, "Parameters": FILLED},
    )  # fmt: skip
    return str(made["DelegationRequestId"])


@told
async def test_lists_have_what_somebody_has_taken_on_newest_first(world: World) -> None:
    await onboard(world)
    barista = await user(world, "barista", document("iam:*"))
    ids = []
    for number in range(3):
        ids.append(await asked(world, f"workflow-{number}"))
        await do(world, "associate", ids[-1], barista if number else None)
        await world.advance(1)
    await asked(world, "workflow-x")
    first = await iam(world, "list_delegation_requests", MaxItems=2)
    assert [one["DelegationRequestId"] for one in first["DelegationRequests"]] == ids[:0:-1]
    assert first["isTruncated"]
    rest = await iam(world, "list_delegation_requests", Marker=first["Marker"])
    assert [one["DelegationRequestId"] for one in rest["DelegationRequests"]] == ids[:1]
    hers = await iam(world, "list_delegation_requests", OwnerId=barista.arn)
    assert len(hers["DelegationRequests"]) == 2


@told
async def test_an_owner_looks_and_passes_on_by_default_and_others_need_leave(world: World) -> None:
    await onboard(world)
    wanted = await asked(world, OnlySendByOwner=True)
    barista = await user(world, "barista", document("iam:AssociateDelegationRequest"))
    other = await user(world, "waiter", document("iam:AcceptDelegationRequest"))
    arn = f"arn:aws:iam::{ACCOUNT}:delegation-request/{wanted}"
    for caller in (barista, other):
        code, text = await refusal(do(world, "get", wanted, caller))
        assert code == "AccessDeniedException"
        assert f"iam:GetDelegationRequest on resource: {arn}" in text
    await do(world, "associate", wanted, barista)
    assert await do(world, "get", wanted, barista)
    summary = await world.call(
        "iam", "get_human_readable_summary", caller=barista, EntityArn=arn, Locale="en"
    )
    assert summary["SummaryState"] == "AVAILABLE"
    await do(world, "update", wanted, barista)
    assert (await refused(do(world, "accept", wanted, barista))).code == "AccessDeniedException"
    await do(world, "accept", wanted, other)
    assert await refusal(do(world, "send", wanted)) == (
        "AccessDeniedException", "Only the owner of the delegation request can send its token."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (document("sqs:*", "iam:*"), "ALLOWED"),
        (document("sqs:GetQueueUrl"), "DENIED"),
        (document("sqs:*", "iam:*", Condition={"Bool": {"aws:SecureTransport": "true"}}), "UNSURE"),
    ],
)
def test_whether_a_caller_could_do_it_all_is_worked_out(policy: str, says: str) -> None:
    @told
    async def story(world: World) -> None:
        await onboard(world, document("sqs:CreateQueue", "iam:List*Users", resource="*"))
        permissions = {"PolicyTemplateArn": TEMPLATE}
        wanted = await asked(world, Permissions=permissions)
        barista = await user(world, "barista", policy, document("iam:*Delegation*"))
        got = await do(world, "get", wanted, barista, DelegationPermissionCheck=True)
        assert (got["PermissionCheckStatus"], got["PermissionCheckResult"]) == ("COMPLETE", says)
        root = await do(world, "get", wanted, DelegationPermissionCheck=True)
        assert root["PermissionCheckResult"] == "ALLOWED"

    story()


@told
async def test_a_summary_says_what_the_policy_says_and_nothing_else(world: World) -> None:
    boundary = f"arn:aws:iam::{OTHER}:policy/limit"
    text = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": "arn:aws:sqs:*:*:@{queue}"},
            {"Effect": "Allow", "Action": "iam:CreateRole", "Resource": "*",
             "Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}}},
            {"Effect": "Deny", "NotAction": "sqs:*", "Resource": "*"},
        ],
    }  # fmt: skip
    await onboard(world, json.dumps(text))
    values = [{"Name": "queue", "Values": ["orders", "bills"], "Type": "stringList"}]
    wanted = await asked(
        world, SessionDuration=5_400,
        Permissions={"PolicyTemplateArn": TEMPLATE, "Parameters": values},
    )  # fmt: skip
    one = await shown(world, wanted)
    assert one["RolePermissionRestrictionArns"] == [boundary]
    arn = f"arn:aws:iam::{ACCOUNT}:delegation-request/{wanted}"
    got = await iam(world, "get_human_readable_summary", EntityArn=arn)
    assert got["SummaryContent"].splitlines() == [
        f"Account {OTHER} asks to act in your account for 1 h 30 min, with these permissions:",
        "- Allow sqs:SendMessage on arn:aws:sqs:*:*:orders, arn:aws:sqs:*:*:bills.",
        f"- Allow iam:CreateRole on all resources, where iam:PermissionsBoundary StringEquals {boundary}.",
        "- Never allow everything but sqs:* on all resources.",
    ]
    other = await iam(world, "get_human_readable_summary", EntityArn=arn, Locale="fr-FR")
    assert other == {"Locale": "fr-FR", "SummaryState": "NOT_SUPPORTED"}
    error = await refused(
        iam(world, "get_human_readable_summary", EntityArn=f"arn:aws:iam::{ACCOUNT}:role/x")
    )
    assert error.code == "InvalidInput"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"NotificationChannel": "arn:aws:sqs:us-east-1:111111111111:q"}, "InvalidInput"),
        ({"NotificationChannel": "updates"}, "InvalidInput"),
        ({"Permissions": {"PolicyTemplateArn": TEMPLATE}}, "InvalidInput"),
        ({"Permissions": {"PolicyTemplateArn": TEMPLATE + "x", "Parameters": FILLED}}, "InvalidInput"),
        ({"Permissions": {"PolicyTemplateArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}}, "InvalidInput"),
        ({"Permissions": {"PolicyTemplateArn": TEMPLATE, "Parameters": [
            {"Name": "queue", "Values": ["a", "b"], "Type": "string"}]}}, "InvalidInput"),
        ({"Permissions": {"PolicyTemplateArn": TEMPLATE, "Parameters": [
            *FILLED, {"Name": "teapot", "Values": ["a"], "Type": "string"}]}}, "InvalidInput"),
        ({"SessionDuration": 299}, "ValidationException"),
        ({"SessionDuration": 43_201}, "ValidationException"),
        ({"RequestorWorkflowId": "workflow-1"}, "EntityAlreadyExists"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_is_refused(more: dict[str, Any], code: str) -> None:
    @told
    async def story(world: World) -> None:
        await onboard(world)
        await asked(world)
        assert (await refused(asked(world, **{"workflow": "workflow-2", **more}))).code == code

    story()


def test_a_crash_loses_neither_a_decision_nor_the_token() -> None:
    async def prepare(world: World, known: Told) -> None:
        await onboard(world)
        known["id"] = await asked(world)
        await do(world, "associate", known["id"])
        await do(world, "accept", known["id"])
        await heard(world)

    async def work(world: World, known: Told) -> None:
        await do(world, "send", known["id"])
        known["sent"] = True
        await world.settle()

    async def check(world: World, known: Told) -> None:
        one = await shown(world, known["id"])
        if "sent" in known:
            assert one["State"] == "FINALIZED"
        if one["State"] == "FINALIZED":
            tokens = [told["ExchangeToken"] for told in await heard(world)]
            assert tokens
            assert (await trade(world, tokens[0]))["AssumedPrincipal"].endswith(":root")
        else:
            assert one["State"] == "ACCEPTED"

    assert crash_everywhere(prepare, work, check) >= 2
