"""Events put, matched and delivered."""

from __future__ import annotations

import json

import pytest

from doppio.services.events.records import Delivery, Lane
from doppio.wire.errors import AwsError
from tests.services.events.helpers import bodies, put, queue, rule
from tests.services.sns.helpers import heard
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, told


@told
async def test_an_event_reaches_the_queues_of_the_rules_that_want_it(world: World) -> None:
    tea, all_ = await queue(world, "tea"), await queue(world, "all")
    await rule(world, "tea", {"Arn": tea}, pattern='{"detail": {"tea": [{"numeric": [">", 1]}]}}')
    await rule(world, "all", {"Arn": all_})
    first = await put(world, Resources=["arn:x"])
    await put(world, Detail='{"tea": 1}')
    assert [json.loads(one) for one in await bodies(world, tea)] == [
        {
            "version": "0",
            "id": first["EventId"],
            "detail-type": "sold",
            "source": "shop",
            "account": ACCOUNT,
            "time": "2030-01-01T00:00:00Z",
            "region": REGION,
            "resources": ["arn:x"],
            "detail": {"tea": 2},
        }
    ]
    assert len(await bodies(world, all_)) == 2
    assert await world.cloud.root_context().read().list(Delivery, limit=9) == []


@told
async def test_each_entry_is_refused_for_itself(world: World) -> None:
    good = {"Source": "a", "DetailType": "b", "Detail": "{}"}
    entries = [
        good,
        {**good, "Source": ""},
        {"Source": "a", "Detail": "{}"},
        {"Source": "a", "DetailType": "b"},
        {**good, "Detail": "[1]"},
        {**good, "Source": "aws.s3"},
    ]
    answer = await world.call("events", "put_events", Entries=entries)
    assert answer["FailedEntryCount"] == 5
    assert [one.get("ErrorCode") for one in answer["Entries"]] == [
        None,
        "InvalidArgument",
        "InvalidArgument",
        "InvalidArgument",
        "MalformedDetail",
        "NotAuthorizedForSource",
    ]
    assert answer["Entries"][2]["ErrorMessage"] == (
        "Parameter DetailType is not valid. Reason: DetailType is a required argument."
    )
    large = {**good, "Detail": json.dumps({"x": "y" * 1024 * 1024})}
    assert await refusal(world.call("events", "put_events", Entries=[large])) == (
        "ValidationException",
        "Total size of the entries in the request is over the limit.",
    )
    code, _ = await refusal(world.call("events", "put_events", Entries=[good] * 11))
    assert code == "ValidationException"


@told
async def test_what_a_target_gets_is_as_its_input_says(world: World) -> None:
    arn = await queue(world, "q")
    paths = {"tea": "$.detail.tea", "who": "$.detail.who", "all": "$.detail", "none": "$.detail.x"}

    def filled(template: str) -> dict[str, object]:
        return {
            "Arn": arn,
            "InputTransformer": {"InputPathsMap": paths, "InputTemplate": template},
        }

    await rule(world, "a", {"Arn": arn, "Input": '{"constant": 1}'})
    await rule(world, "b", {"Arn": arn, "InputPath": "$.detail.list[1].name"})
    await rule(world, "c", filled('"<who> drinks <tea>"'))
    await rule(world, "d", filled('{"tea": <tea>, "who": <who>, "said": "<who>!", "all": <all>}'))
    await rule(world, "e", filled('{"r": <aws.events.rule-name>, "n": <none>}'))
    await rule(world, "f", filled('{"e": <aws.events.event>}'))
    detail = {"tea": 2, "who": 'An"na', "list": [{"name": "x"}, {"name": "y"}]}
    found = await put(world, Detail=json.dumps(detail))
    texts = await bodies(world, arn)
    assert {'{"constant": 1}', '"y"', '"An\\"na drinks 2"'} <= set(texts)
    documents = [json.loads(text) for text in texts]
    assert {"tea": 2, "who": 'An"na', "said": 'An"na!', "all": detail} in documents
    assert {"r": "e", "n": ""} in documents
    event = next(one["e"] for one in documents if isinstance(one, dict) and "e" in one)
    assert event["id"] == found["EventId"]
    assert "detail" not in event


@told
async def test_an_event_that_cannot_be_delivered_is_a_dead_letter(world: World) -> None:
    closed, dead = await queue(world, "closed", closed=True), await queue(world, "dead")
    target = {"Arn": closed, "DeadLetterConfig": {"Arn": dead}}
    arn = await rule(world, "r", target)
    found = await put(world)
    (letter,) = await heard(world, dead)
    assert json.loads(letter["Body"])["id"] == found["EventId"]
    told = {name: one["StringValue"] for name, one in letter["MessageAttributes"].items()}
    assert told.pop("ERROR_MESSAGE")
    assert told == {"ERROR_CODE": "NO_PERMISSIONS", "RULE_ARN": arn, "TARGET_ARN": closed}


@told
async def test_a_fifo_queue_gets_the_group_that_its_target_names(world: World) -> None:
    arn = await queue(world, "line.fifo")
    code, text = await refusal(rule(world, "r", {"Arn": arn}))
    assert (code, text) == (
        "ValidationException",
        "Parameter(s) SqsParameters must be specified for target: 0.",
    )
    await rule(world, "r", {"Arn": arn, "SqsParameters": {"MessageGroupId": "g"}})
    await put(world)
    (message,) = await heard(world, arn)
    assert message["Attributes"]["MessageGroupId"] == "g"


@told
async def test_events_pass_on_to_another_account_that_lets_them_in(world: World) -> None:
    there = f"arn:aws:events:{REGION}:{OTHER}:event-bus/default"
    dead, arn = await queue(world, "dead"), await queue(world, "q", account=OTHER)
    await rule(world, "r", {"Arn": there, "DeadLetterConfig": {"Arn": dead}})
    await rule(world, "r", {"Arn": arn}, account=OTHER)
    await put(world)
    (letter,) = await heard(world, dead)
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    await world.call(
        "events",
        "put_permission",
        account=OTHER,
        Action="events:PutEvents",
        Principal=ACCOUNT,
        StatementId="s",
    )
    found = await put(world)
    url = f"http://localhost:4566/{OTHER}/q"
    got = await world.call("sqs", "receive_message", account=OTHER, QueueUrl=url)
    body = json.loads(got["Messages"][0]["Body"])
    assert (body["id"], body["account"]) == (found["EventId"], ACCOUNT)


@told
async def test_a_schedule_sends_an_event_at_each_of_its_times(world: World) -> None:
    arn = await queue(world, "q")
    name = await rule(world, "r", {"Arn": arn}, ScheduleExpression="rate(1 hour)")
    await world.advance(minutes=59)
    assert await bodies(world, arn) == []
    await world.advance(minutes=2)
    (event,) = [json.loads(one) for one in await bodies(world, arn)]
    assert event["detail-type"] == "Scheduled Event"
    assert event["time"] == "2030-01-01T01:00:00Z"
    assert event["resources"] == [name]
    await world.advance(hours=3)
    # Of the same moment, a standard queue gives them in any order.
    times = sorted(json.loads(one)["time"] for one in await bodies(world, arn))
    assert times == [f"2030-01-01T0{hour}:00:00Z" for hour in (2, 3, 4)]
    await world.call("events", "disable_rule", Name="r")
    await world.advance(hours=3)
    assert await bodies(world, arn) == []


@told
async def test_what_was_acknowledged_arrives_after_a_crash(world: World) -> None:
    arn = await queue(world, "q")
    await rule(world, "r", {"Arn": arn})
    entry = {"Source": "shop", "DetailType": "sold", "Detail": "{}"}
    await world.call("events", "put_events", Entries=[entry] * 3)
    again = world.again()
    await again.start()
    try:
        await again.settle()
        assert len(await bodies(again, arn)) >= 3
        assert await again.cloud.root_context().read().list(Delivery, limit=9) == []
    finally:
        await again.close()


@told
async def test_a_lane_ends_with_its_target(world: World) -> None:
    arn = await queue(world, "q")
    await rule(world, "r", {"Arn": arn})
    assert await refusal(world.call("events", "delete_rule", Name="r")) == (
        "ValidationException",
        "Rule can't be deleted since it has targets.",
    )
    await world.call("events", "remove_targets", Rule="r", Ids=["0"])
    await world.settle()
    assert await world.cloud.root_context().read().list(Lane, limit=9) == []
    await world.call("events", "delete_rule", Name="r")
    await world.call("events", "delete_rule", Name="r")


@told
async def test_targets_that_are_not_here_are_refused(world: World) -> None:
    await rule(world, "r")
    for arn in (
        f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/c",
        f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/q",
    ):
        call = world.call("events", "put_targets", Rule="r", Targets=[{"Id": "1", "Arn": arn}])
        code, _ = await refusal(call)
        assert code == "NotImplemented"


@told
async def test_buses_are_made_once_and_deleted_without_rules(world: World) -> None:
    made = await world.call("events", "create_event_bus", Name="mine", Tags=[])
    assert made["EventBusArn"] == f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/mine"
    assert await refusal(world.call("events", "create_event_bus", Name="mine")) == (
        "ResourceAlreadyExistsException",
        "Event bus mine already exists.",
    )
    listed = await world.call("events", "list_event_buses")
    assert [one["Name"] for one in listed["EventBuses"]] == ["default", "mine"]
    arn = await queue(world, "q")
    await rule(world, "r", {"Arn": arn}, EventBusName="mine")
    await put(world)
    await put(world, EventBusName="mine")
    assert len(await bodies(world, arn)) == 1
    assert (await refusal(world.call("events", "delete_event_bus", Name="mine")))[0] == (
        "ValidationException"
    )
    assert await refusal(world.call("events", "describe_event_bus", Name="no")) == (
        "ResourceNotFoundException",
        "Event bus no does not exist.",
    )
    # As in AWS: nobody hears of it.
    assert "EventId" in await put(world, EventBusName="no")


@told
async def test_patterns_are_tried_and_bad_ones_refused(world: World) -> None:
    event = {
        "id": "1", "account": "1", "source": "s", "time": "t", "region": "r", "resources": [],
        "detail-type": "d", "detail": {"a": "file.png"},
    }  # fmt: skip
    for pattern, wanted in (
        ({"detail": {"a": [{"wildcard": "*.png"}]}}, True),
        ({"$or": [{"source": ["x"]}, {"detail-type": ["d"]}]}, True),
        ({"source": ["x"]}, False),
    ):
        answer = await world.call(
            "events",
            "test_event_pattern",
            EventPattern=json.dumps(pattern),
            Event=json.dumps(event),
        )
        assert answer["Result"] is wanted
    code, text = await refusal(world.call("events", "put_rule", Name="r", EventPattern="{}"))
    assert code == "InvalidEventPatternException"
    assert text.startswith("Event pattern is not valid. Reason: ")
    code, _ = await refusal(
        world.call("events", "put_rule", Name="r", ScheduleExpression="rate(0)")
    )
    assert code == "ValidationException"


@told
async def test_a_user_without_rights_changes_nothing(world: World) -> None:
    await world.call("iam", "create_user", UserName="u")
    key = await world.call("iam", "create_access_key", UserName="u")
    caller = await world.who(key["AccessKey"])
    arn = await queue(world, "q")
    await rule(world, "r", {"Arn": arn})
    entry = {"Source": "shop", "DetailType": "sold", "Detail": "{}"}
    for call in (
        world.call("events", "put_events", caller=caller, Entries=[entry]),
        world.call("events", "put_rule", caller=caller, Name="r", EventPattern="{}"),
        world.call("events", "delete_rule", caller=caller, Name="r"),
        world.call("events", "create_event_bus", caller=caller, Name="b"),
        world.call("events", "list_rules", caller=caller),
        world.call("events", "remove_targets", caller=caller, Rule="r", Ids=["0"]),
    ):
        with pytest.raises(AwsError) as refused:
            await call
        assert refused.value.code == "AccessDeniedException"
    await world.settle()
    assert await bodies(world, arn) == []


@told
async def test_a_log_group_that_lets_eventbridge_in_gets_a_line(world: World) -> None:
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/x"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"{group}:*",
    }
    await world.call("logs", "create_log_group", logGroupName="/aws/events/x")
    dead = await queue(world, "dead")
    await rule(world, "r", {"Arn": group, "DeadLetterConfig": {"Arn": dead}})
    await put(world)
    assert len(await bodies(world, dead)) == 1
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await world.call("logs", "put_resource_policy", policyName="p", policyDocument=policy)
    found = await put(world)
    lines = await world.call("logs", "filter_log_events", logGroupName="/aws/events/x")
    assert [json.loads(one["message"])["id"] for one in lines["events"]] == [found["EventId"]]
