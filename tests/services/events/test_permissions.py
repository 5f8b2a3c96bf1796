"""Every operation asks for its action on its resource, and what is denied changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from doppio.services.events.service import SERVICE
from doppio.wire import model
from doppio.wire.errors import AwsError
from tests.services.events.helpers import ANY
from tests.services.events.test_endpoints import settings
from tests.services.kms.helpers import allow, user
from tests.services.world import ACCOUNT, REGION, World, refusal, run

BASE = f"arn:aws:events:{REGION}:{ACCOUNT}"
BUS = {"EventBusName": "shop"}
SOURCE = "aws.partner/tea.example/crm/orders"
SHARED = f"arn:aws:events:{REGION}::event-source/{SOURCE}"
KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "x", "ApiKeyValue": "y"}}
TIMES = {"EventStartTime": 0, "EventEndTime": 1}
# What each operation is asked, and the resource on which it needs its action.
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "ActivateEventSource": ({"Name": SOURCE}, SHARED),
    "CancelReplay": ({"ReplayName": "r"}, f"{BASE}:replay/r"),
    "CreateApiDestination": (
        {"Name": "d", "ConnectionArn": f"{BASE}:connection/c/{'0' * 8}-{'0' * 4}",
         "InvocationEndpoint": "https://x.test", "HttpMethod": "POST"},
        f"{BASE}:api-destination/d",
    ),
    "CreateArchive": (
        {"ArchiveName": "a", "EventSourceArn": f"{BASE}:event-bus/shop"}, f"{BASE}:archive/a",
    ),
    "CreateConnection": (
        {"Name": "c", "AuthorizationType": "API_KEY", "AuthParameters": KEY},
        f"{BASE}:connection/c",
    ),
    "CreateEndpoint": (settings(), f"{BASE}:endpoint/tea"),
    "CreateEventBus": ({"Name": "new"}, f"{BASE}:event-bus/new"),
    "CreatePartnerEventSource": ({"Name": SOURCE, "Account": ACCOUNT}, SHARED),
    "DeactivateEventSource": ({"Name": SOURCE}, SHARED),
    "DeauthorizeConnection": ({"Name": "c"}, f"{BASE}:connection/c"),
    "DeleteApiDestination": ({"Name": "d"}, f"{BASE}:api-destination/d"),
    "DeleteArchive": ({"ArchiveName": "a"}, f"{BASE}:archive/a"),
    "DeleteConnection": ({"Name": "c"}, f"{BASE}:connection/c"),
    "DeleteEndpoint": ({"Name": "tea"}, f"{BASE}:endpoint/tea"),
    "DeleteEventBus": ({"Name": "shop"}, f"{BASE}:event-bus/shop"),
    "DeletePartnerEventSource": ({"Name": SOURCE, "Account": ACCOUNT}, SHARED),
    "DeleteRule": ({"Name": "r", **BUS}, f"{BASE}:rule/shop/r"),
    "DescribeApiDestination": ({"Name": "d"}, f"{BASE}:api-destination/d"),
    "DescribeArchive": ({"ArchiveName": "a"}, f"{BASE}:archive/a"),
    "DescribeConnection": ({"Name": "c"}, f"{BASE}:connection/c"),
    "DescribeEndpoint": (
        {"Name": "tea", "HomeRegion": "us-west-2"},
        f"arn:aws:events:us-west-2:{ACCOUNT}:endpoint/tea",
    ),
    "DescribeEventBus": ({"Name": "shop"}, f"{BASE}:event-bus/shop"),
    "DescribeEventSource": ({"Name": SOURCE}, SHARED),
    "DescribePartnerEventSource": ({"Name": SOURCE}, SHARED),
    "DescribeReplay": ({"ReplayName": "r"}, f"{BASE}:replay/r"),
    "DescribeRule": ({"Name": "r"}, f"{BASE}:rule/r"),
    "DisableRule": ({"Name": "r"}, f"{BASE}:rule/r"),
    "EnableRule": ({"Name": "r"}, f"{BASE}:rule/r"),
    "ListApiDestinations": ({}, "*"),
    "ListArchives": ({}, "*"),
    "ListConnections": ({}, "*"),
    "ListEndpoints": ({}, "*"),
    "ListEventBuses": ({}, "*"),
    "ListEventSources": ({}, "*"),
    "ListPartnerEventSourceAccounts": ({"EventSourceName": SOURCE}, SHARED),
    "ListPartnerEventSources": ({"NamePrefix": "aws.partner/tea.example/"}, "*"),
    "ListReplays": ({}, "*"),
    "ListRuleNamesByTarget": ({"TargetArn": "arn:aws:sqs:::q"}, "*"),
    "ListRules": ({}, "*"),
    "ListTagsForResource": ({"ResourceARN": f"{BASE}:rule/r"}, f"{BASE}:rule/r"),
    "ListTargetsByRule": ({"Rule": "r"}, f"{BASE}:rule/r"),
    "PutEvents": (
        {"Entries": [{"Source": "a", "DetailType": "b", "Detail": "{}", **BUS}]},
        f"{BASE}:event-bus/shop",
    ),
    "PutPartnerEvents": (
        {"Entries": [{"Source": SOURCE, "DetailType": "b", "Detail": "{}"}]}, "*",
    ),
    "PutPermission": (
        {"Action": "events:PutEvents", "Principal": "111122223333", "StatementId": "s"},
        f"{BASE}:event-bus/default",
    ),
    "PutRule": ({"Name": "new", "EventPattern": ANY}, f"{BASE}:rule/new"),
    "PutTargets": (
        {"Rule": "r", "Targets": [{"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"}]},
        f"{BASE}:rule/r",
    ),
    "RemovePermission": ({"StatementId": "s", **BUS}, f"{BASE}:event-bus/shop"),
    "RemoveTargets": ({"Rule": "r", "Ids": ["1"]}, f"{BASE}:rule/r"),
    "StartReplay": (
        {"ReplayName": "r", "EventSourceArn": f"{BASE}:archive/a", **TIMES,
         "Destination": {"Arn": f"{BASE}:event-bus/shop"}},
        f"{BASE}:replay/r",
    ),
    "TagResource": (
        {"ResourceARN": f"{BASE}:rule/r", "Tags": [{"Key": "a", "Value": "b"}]},
        f"{BASE}:rule/r",
    ),
    "TestEventPattern": ({"EventPattern": ANY, "Event": "{}"}, "*"),
    "UntagResource": ({"ResourceARN": f"{BASE}:rule/r", "TagKeys": ["a"]}, f"{BASE}:rule/r"),
    "UpdateApiDestination": ({"Name": "d"}, f"{BASE}:api-destination/d"),
    "UpdateArchive": ({"ArchiveName": "a"}, f"{BASE}:archive/a"),
    "UpdateConnection": ({"Name": "c"}, f"{BASE}:connection/c"),
    "UpdateEndpoint": ({"Name": "tea"}, f"{BASE}:endpoint/tea"),
    "UpdateEventBus": ({"Name": "shop"}, f"{BASE}:event-bus/shop"),
}  # fmt: skip


def test_the_table_names_every_operation() -> None:
    operations = model.load("events").operations
    assert {operations[name].method for name in ASKED} == set(SERVICE.operations)


@pytest.mark.parametrize("letter", sorted({name[:2] for name in ASKED}))
def test_an_operation_needs_its_action_on_its_resource(letter: str) -> None:
    async def story(world: World) -> None:
        nobody = await user(world, "nobody")
        before = dict(world.memory.disk)
        for name, (req, resource) in ASKED.items():
            if not name.startswith(letter):
                continue
            method = model.load("events").operations[name].method
            code, text = await refusal(world.call("events", method, caller=nobody, **req))
            assert code == "AccessDeniedException", name
            where = "" if resource == "*" else f" on resource: {resource}"
            assert f"events:{name}{where} because" in text, text
        await world.settle()
        changed = {key for key in world.memory.disk.keys() | before.keys()
                   if world.memory.disk.get(key) != before.get(key)}  # fmt: skip
        assert not any(b"events." in key for key in changed)

    run(story)


async def outcome(call: Awaitable[Any]) -> str:
    """The code with which a call is refused, or nothing."""
    try:
        await call
    except AwsError as error:
        return error.code
    return ""


@pytest.mark.parametrize("letter", sorted({name[:2] for name in ASKED}))
def test_who_has_the_action_on_that_resource_is_not_denied(letter: str) -> None:
    async def story(world: World) -> None:
        for number, (name, (req, resource)) in enumerate(ASKED.items()):
            if not name.startswith(letter):
                continue
            more = ("iam:PassRole", "secretsmanager:*")
            one = await user(
                world, f"u{number}", allow(f"events:{name}", resource), *map(allow, more)
            )
            method = model.load("events").operations[name].method
            code = await outcome(world.call("events", method, caller=one, **req))
            assert "AccessDenied" not in code, name

    run(story)
