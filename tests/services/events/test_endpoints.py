"""Global endpoints: events go on while a Region is down, and both Regions hear of them."""

from __future__ import annotations

import json
from typing import Any

from doppio.kernel.regions import set_zone, zones
from doppio.services.events.records import Lane, Rule
from tests.services.events.helpers import ANY
from tests.services.world import ACCOUNT, OTHER, World, refusal, told

HERE, THERE = "us-east-1", "us-west-2"
HEALTH = "arn:aws:route53:::healthcheck/a1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/replicator"
ARN = f"arn:aws:events:{HERE}:{ACCOUNT}:endpoint/tea"
RULES = ["events:PutRule", "events:PutTargets", "events:DeleteRule", "events:RemoveTargets"]


def bus(region: str, name: str = "shop", account: str = ACCOUNT) -> str:
    return f"arn:aws:events:{region}:{account}:event-bus/{name}"


def settings(**more: Any) -> dict[str, Any]:
    return {
        "Name": "tea",
        "RoutingConfig": {
            "FailoverConfig": {
                "Primary": {"HealthCheck": HEALTH},
                "Secondary": {"Route": THERE},
            }
        },
        "EventBuses": [{"EventBusArn": bus(HERE)}, {"EventBusArn": bus(THERE)}],
        "RoleArn": ROLE,
        **more,
    }


async def role(world: World, *actions: str) -> None:
    """The role that replicates, with leave to do these things."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    try:
        await world.call(
            "iam", "create_role", RoleName="replicator", AssumeRolePolicyDocument=document
        )
    finally:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        await may(world, statement)


async def may(world: World, statement: dict[str, Any]) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call(
        "iam", "put_role_policy", RoleName="replicator", PolicyName="p", PolicyDocument=policy
    )


async def hearing(world: World, region: str) -> None:
    """A bus whose events all come into a queue beside it."""
    arn = f"arn:aws:sqs:{region}:{ACCOUNT}:q"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call(
        "sqs", "create_queue", region=region, QueueName="q", Attributes={"Policy": policy}
    )
    await world.call("events", "create_event_bus", region=region, Name="shop")
    where: dict[str, Any] = {"EventBusName": "shop"}
    await world.call("events", "put_rule", region=region, Name="r", EventPattern=ANY, **where)
    targets = [{"Id": "q", "Arn": arn}]
    await world.call("events", "put_targets", region=region, Rule="r", Targets=targets, **where)


async def heard(world: World, region: str) -> list[dict[str, Any]]:
    url = f"http://localhost:4566/{ACCOUNT}/q"
    got = await world.call(
        "sqs", "receive_message", region=region, QueueUrl=url, MaxNumberOfMessages=10
    )
    messages = got.get("Messages", [])
    for one in messages:
        await world.call(
            "sqs", "delete_message", region=region, QueueUrl=url, ReceiptHandle=one["ReceiptHandle"]
        )
    return [json.loads(one["Body"]) for one in messages]


async def made(world: World, *, replicated: bool = True, **more: Any) -> str:
    """Both buses, the role and the endpoint, ready; the endpoint's id."""
    for region in (HERE, THERE):
        await hearing(world, region)
    await role(world, "events:PutEvents", *RULES)
    if not replicated:
        more["ReplicationConfig"] = {"State": "DISABLED"}
    await world.call("events", "create_endpoint", **settings(**more))
    await world.settle()
    shown = await world.call("events", "describe_endpoint", Name="tea")
    assert shown["State"] == "ACTIVE"
    found: str = shown["EndpointId"]
    return found


async def put(world: World, endpoint: str, **more: Any) -> dict[str, Any]:
    entry = {"Source": "till", "DetailType": "sold", "Detail": "{}", "EventBusName": "shop"}
    req = {key: more.pop(key) for key in ("region", "caller", "account") if key in more}
    entries = [{**entry, **more}]
    answer = await world.call("events", "put_events", EndpointId=endpoint, Entries=entries, **req)
    await world.settle()
    found: dict[str, Any] = answer["Entries"][0]
    return found


async def set_region(world: World, region: str, state: Any) -> None:
    async with world.cloud.root_context().write() as tx:
        for name in zones(region):
            set_zone(tx, name, state)


@told
async def test_events_go_to_the_first_region_and_to_the_second_while_that_is_down(
    world: World,
) -> None:
    endpoint = await made(world, replicated=False)
    first = await put(world, endpoint)
    assert [(one["id"], one["region"], one["resources"]) for one in await heard(world, HERE)] == [
        (first["EventId"], HERE, [ARN])
    ]
    async with world.cloud.root_context().write() as tx:
        set_zone(tx, zones(HERE)[0], "down")
    await put(world, endpoint)
    assert len(await heard(world, HERE)) == 1, "a Region works while one of its zones does"
    await set_region(world, HERE, "down")
    # Whom a client asks does not matter: the endpoint is one for all Regions.
    second = await put(world, endpoint, region="eu-west-1", Resources=["a"])
    assert [(one["id"], one["region"], one["resources"]) for one in await heard(world, THERE)] == [
        (second["EventId"], THERE, ["a", ARN])
    ]
    assert await heard(world, HERE) == []
    await set_region(world, THERE, "down")
    await put(world, endpoint)
    assert len(await heard(world, HERE)) == 1, "where both are down it is the first"
    await set_region(world, HERE, "up")
    await put(world, endpoint)
    assert len(await heard(world, HERE)) == 1
    assert await heard(world, THERE) == []


@told
async def test_with_replication_both_regions_hear_of_each_event_once(world: World) -> None:
    endpoint = await made(world)
    first = await put(world, endpoint)
    for region in (HERE, THERE):
        (event,) = await heard(world, region)
        assert (event["id"], event["region"]) == (first["EventId"], HERE)
    # What is not put to the endpoint stays where it is.
    entry = {"Source": "a", "DetailType": "b", "Detail": "{}", "EventBusName": "shop"}
    await world.call("events", "put_events", Entries=[entry])
    await world.settle()
    assert len(await heard(world, HERE)) == 1
    assert await heard(world, THERE) == []


@told
async def test_a_region_that_was_down_hears_afterwards_of_what_it_has_missed(world: World) -> None:
    endpoint = await made(world)
    await set_region(world, HERE, "down")
    missed = await put(world, endpoint)
    assert [one["id"] for one in await heard(world, THERE)] == [missed["EventId"]]
    await world.advance(hours=2)
    assert await heard(world, HERE) == []
    await set_region(world, HERE, "up")
    await world.advance(minutes=9)
    (event,) = await heard(world, HERE)
    assert (event["id"], event["region"]) == (missed["EventId"], THERE)
    assert await heard(world, THERE) == []


@told
async def test_an_endpoints_rules_are_managed_and_go_with_it(world: World) -> None:
    await made(world)
    rules = await world.call("events", "list_rules", region=THERE, EventBusName="shop")
    (rule,) = [one for one in rules["Rules"] if "ManagedBy" in one]
    assert rule["Name"].startswith("GlobalEndpointManagedRule-")
    assert rule["ManagedBy"] == "events.amazonaws.com"
    for method, req in (
        ("disable_rule", {"Name": rule["Name"]}),
        ("remove_targets", {"Rule": rule["Name"], "Ids": ["replica"]}),
    ):
        call = world.call("events", method, region=THERE, EventBusName="shop", **req)
        assert (await refusal(call))[0] == "ManagedRuleException"
    off = {"Name": "tea", "ReplicationConfig": {"State": "DISABLED"}}
    updated = await world.call("events", "update_endpoint", **off)
    assert (updated["State"], updated["ReplicationConfig"]) == ("UPDATING", {"State": "DISABLED"})
    await world.settle()
    reader = world.cloud.root_context().read()
    assert [one.name for one in await reader.list(Rule, limit=9)] == ["r", "r"]
    assert [one.target for one in await reader.list(Lane, limit=9)] == ["q", "q"]
    on = {"Name": "tea", "ReplicationConfig": {"State": "ENABLED"}}
    await world.call("events", "update_endpoint", **on)
    await world.settle()
    assert len(await reader.list(Rule, limit=9)) == 4
    await world.call("events", "delete_endpoint", Name="tea")
    shown = await world.call("events", "describe_endpoint", Name="tea")
    assert shown["State"] == "DELETING"
    await world.settle()
    assert await refusal(world.call("events", "describe_endpoint", Name="tea")) == (
        "ResourceNotFoundException",
        "Endpoint tea does not exist.",
    )
    assert len(await reader.list(Rule, limit=9)) == 2


@told
async def test_what_the_role_may_not_do_stands_in_the_endpoints_state(world: World) -> None:
    for region in (HERE, THERE):
        await hearing(world, region)
    await role(world, "events:PutEvents")
    answer = await world.call("events", "create_endpoint", **settings())
    assert answer["State"] == "CREATING"
    assert "EndpointId" not in answer
    await world.settle()
    shown = await world.call("events", "describe_endpoint", Name="tea")
    assert shown["State"] == "CREATE_FAILED"
    assert "events:PutRule" in shown["StateReason"]
    code, _ = await refusal(put(world, shown["EndpointId"]))
    assert code == "ValidationException"
    await may(world, {"Effect": "Allow", "Action": RULES, "Resource": "*"})
    await world.call("events", "update_endpoint", Name="tea")
    await world.settle()
    shown = await world.call("events", "describe_endpoint", Name="tea")
    assert (shown["State"], shown.get("StateReason")) == ("ACTIVE", None)
    await may(world, {"Effect": "Deny", "Action": RULES, "Resource": "*"})
    await world.call("events", "delete_endpoint", Name="tea")
    await world.settle()
    shown = await world.call("events", "describe_endpoint", Name="tea")
    assert shown["State"] == "DELETE_FAILED"


@told
async def test_an_endpoint_takes_events_for_its_own_bus_from_who_may_put_them(
    world: World,
) -> None:
    endpoint = await made(world, replicated=False)
    for named in ("other", bus("eu-west-1"), bus(HERE, account=OTHER)):
        assert (await put(world, endpoint, EventBusName=named))["ErrorCode"] == "InvalidArgument"
    assert "EventId" in await put(world, endpoint, EventBusName=bus(THERE))
    assert (await put(world, endpoint, Detail="x"))["ErrorCode"] == "MalformedDetail"
    assert len(await heard(world, HERE)) == 1
    await world.call("iam", "create_user", UserName="u")
    key = await world.call("iam", "create_access_key", UserName="u")
    statement = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus(HERE)}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    caller = await world.who(key["AccessKey"])
    code, text = await refusal(put(world, endpoint, caller=caller))
    assert code == "AccessDeniedException"
    assert "events:PutEvents" in text
    assert bus(HERE) in text
    await world.call("iam", "put_user_policy", UserName="u", PolicyName="p", PolicyDocument=policy)
    caller = await world.who(key["AccessKey"])
    assert "EventId" in await put(world, endpoint, caller=caller)
    await set_region(world, HERE, "down")
    assert (await refusal(put(world, endpoint, caller=caller)))[0] == "AccessDeniedException"
    assert await heard(world, THERE) == []
    assert await refusal(put(world, "nobody.veo")) == (
        "ValidationException",
        "Parameter EndpointId is not valid. Reason: nobody.veo is unknown.",
    )


@told
async def test_an_endpoint_is_shown_as_it_was_made(world: World) -> None:
    endpoint = await made(world, Description="two shops")
    shown = await world.call(
        "events", "describe_endpoint", region="eu-west-1", Name="tea", HomeRegion=HERE
    )
    listed = await world.call("events", "list_endpoints", NamePrefix="te", MaxResults=1)
    assert listed == {"Endpoints": [shown]}
    assert shown.pop("CreationTime") == shown.pop("LastModifiedTime") == world.now
    assert shown == {
        **settings(Description="two shops"),
        "Arn": ARN,
        "ReplicationConfig": {"State": "ENABLED"},
        "EndpointId": endpoint,
        "EndpointUrl": f"https://{endpoint}.endpoint.events.amazonaws.com",
        "State": "ACTIVE",
    }
    await world.call("events", "create_endpoint", **settings(Name="milk"))
    page = await world.call("events", "list_endpoints", MaxResults=1)
    assert [one["Name"] for one in page["Endpoints"]] == ["milk"]
    rest = await world.call("events", "list_endpoints", NextToken=page["NextToken"])
    assert [one["Name"] for one in rest["Endpoints"]] == ["tea"]
    assert (await world.call("events", "list_endpoints", region=THERE))["Endpoints"] == []


@told
async def test_endpoints_that_cannot_be_are_refused(world: World) -> None:
    await made(world)
    buses = settings()["EventBuses"]
    same = json.loads(json.dumps(settings()["RoutingConfig"]))
    same["FailoverConfig"]["Secondary"]["Route"] = HERE
    nobus = [{"EventBusArn": bus(HERE, "no")}, {"EventBusArn": bus(THERE, "no")}]
    names = [buses[0], {"EventBusArn": bus(THERE, "mop")}]
    accounts = [buses[0], {"EventBusArn": bus(THERE, account=OTHER)}]
    regions = [buses[0], {"EventBusArn": bus("eu-west-1")}]
    for wrong, code, text in (
        ({"Name": "tea"}, "ResourceAlreadyExistsException", "Endpoint tea already exists."),
        ({"EventBuses": nobus}, "ResourceNotFoundException", "Event bus no does not exist."),
        ({"EventBuses": names}, "ValidationException", "must have the same name."),
        ({"EventBuses": accounts}, "ValidationException", "must be in the same account."),
        ({"EventBuses": regions}, "ValidationException", "primary and in its secondary Region."),
        ({"EventBuses": buses[:1]}, "ValidationException", "greater than or equal to 2"),
        ({"RoutingConfig": same}, "ValidationException", "another one than the primary."),
    ):
        req = settings(**{"Name": "x", **wrong})
        found = await refusal(world.call("events", "create_endpoint", **req))
        assert found[0] == code
        assert found[1].endswith(text)
    req = settings(Name="x")
    del req["RoleArn"]
    assert await refusal(world.call("events", "create_endpoint", **req)) == (
        "ValidationException",
        "RoleArn is required when event replication is enabled.",
    )
    await world.call("events", "update_endpoint", Name="tea")
    code, _ = await refusal(world.call("events", "update_endpoint", Name="tea"))
    assert code == "ConcurrentModificationException"


@told
async def test_who_may_do_nothing_with_endpoints_changes_nothing(world: World) -> None:
    await made(world)
    await world.call("iam", "create_user", UserName="u")
    key = await world.call("iam", "create_access_key", UserName="u")
    caller = await world.who(key["AccessKey"])
    for method, req in (
        ("create_endpoint", settings(Name="x")),
        ("update_endpoint", {"Name": "tea", "Description": "x"}),
        ("describe_endpoint", {"Name": "tea"}),
        ("delete_endpoint", {"Name": "tea"}),
        ("list_endpoints", {}),
    ):
        code, _ = await refusal(world.call("events", method, caller=caller, **req))
        assert code == "AccessDeniedException", method
    # Whoever makes an endpoint passes it a role.
    statement = {"Effect": "Allow", "Action": "events:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call("iam", "put_user_policy", UserName="u", PolicyName="p", PolicyDocument=policy)
    caller = await world.who(key["AccessKey"])
    code, text = await refusal(
        world.call("events", "create_endpoint", caller=caller, **settings(Name="x"))
    )
    assert code == "AccessDeniedException"
    assert "iam:PassRole" in text
    assert len((await world.call("events", "list_endpoints"))["Endpoints"]) == 1
