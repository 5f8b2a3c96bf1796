"""Every refusal has AWS's code and text."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.events.helpers import ANY, queue, rule
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, run, told

BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "x", "ApiKeyValue": "y"}}
OAUTH = {
    "OAuthParameters": {
        "ClientParameters": {"ClientID": "i", "ClientSecret": "s"},
        "AuthorizationEndpoint": "ftp://x.test", "HttpMethod": "POST",
    }
}  # fmt: skip
VALIDATION, GONE = "ValidationException", "ResourceNotFoundException"
NO_ARN = "Parameter arn:x is not valid. Reason: Provided Arn is not in correct format."


def target(**more: Any) -> dict[str, Any]:
    return {"Rule": "r", "Targets": [{"Id": "1", "Arn": QUEUE, **more}]}


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    # Buses.
    ("create_event_bus", {"Name": "default"}, "ResourceAlreadyExistsException",
     "Event bus default already exists."),
    ("create_event_bus", {"Name": "shop"}, "ResourceAlreadyExistsException",
     "Event bus shop already exists."),
    ("create_event_bus", {"Name": "a/b"}, VALIDATION,
     "Parameter Name is not valid. Reason: Name must not contain '/'."),
    ("create_event_bus", {"Name": "aws.mine"}, VALIDATION,
     "Event bus name starting with 'aws.' is not valid."),
    ("create_event_bus", {"Name": "x", "DeadLetterConfig": {"Arn": "arn:x"}}, VALIDATION, NO_ARN),
    ("create_event_bus", {"Name": "x", "KmsKeyIdentifier": "k"}, "NotImplemented",
     "events: buses under customer managed keys exist in AWS and not yet here"),
    ("create_event_bus", {"Name": "x", "LogConfig": {"Level": "INFO"}}, "NotImplemented",
     "events: logs of buses exist in AWS and not yet here"),
    ("update_event_bus", {"Name": "no"}, GONE, "Event bus no does not exist."),
    ("delete_event_bus", {"Name": "default"}, VALIDATION, "Cannot delete event bus default."),
    ("delete_event_bus", {"Name": "shop"}, VALIDATION,
     "Event bus can't be deleted since it has rules."),
    ("describe_event_bus", {"Name": "no"}, GONE, "Event bus no does not exist."),
    # Policies of buses.
    ("put_permission", {"Action": "events:PutEvents", "Principal": OTHER}, VALIDATION,
     "Parameter StatementId is not valid. Reason: it must be specified without Policy."),
    ("put_permission", {"Action": "events:PutRule", "Principal": OTHER, "StatementId": "s"},
     VALIDATION, "Provided value in parameter 'action' is not supported."),
    ("put_permission",
     {"Action": "events:PutEvents", "Principal": "*", "StatementId": "s",
      "Condition": {"Type": "StringLike", "Key": "aws:PrincipalOrgID", "Value": "o"}},
     VALIDATION, "Provided value in parameter 'condition' is not supported."),
    ("put_permission", {"Policy": "{"}, VALIDATION,
     "Parameter Policy is not valid. Reason: This policy contains invalid Json"),
    ("remove_permission", {"StatementId": "s"}, GONE, "EventBus does not have a policy."),
    ("remove_permission", {"StatementId": "t", "EventBusName": "shop"}, GONE,
     "Statement with the provided id does not exist."),
    # Rules.
    ("put_rule", {"Name": "x"}, VALIDATION,
     "Parameter(s) EventPattern or ScheduleExpression must be specified."),
    ("put_rule", {"Name": "x", "ScheduleExpression": "rate(1 hours)"}, VALIDATION,
     "Parameter ScheduleExpression is not valid."),
    ("put_rule", {"Name": "x", "ScheduleExpression": "rate(1 hour)", "EventBusName": "shop"},
     VALIDATION, "ScheduleExpression is supported only on the default event bus."),
    ("put_rule", {"Name": "x", "EventPattern": "{"}, "InvalidEventPatternException",
     "Event pattern is not valid. Reason: Filter is not valid JSON"),
    ("put_rule", {"Name": "x", "EventPattern": "[]"}, "InvalidEventPatternException",
     "Event pattern is not valid. Reason: Filter is not an object"),
    ("delete_rule", {"Name": "r"}, VALIDATION, "Rule can't be deleted since it has targets."),
    ("delete_rule", {"Name": "Events-Archive-a"}, "ManagedRuleException",
     "Rule Events-Archive-a is managed by an AWS service and can only be modified if force is set."),
    ("describe_rule", {"Name": "no"}, GONE, "Rule no does not exist on EventBus default."),
    ("enable_rule", {"Name": "no", "EventBusName": "shop"}, GONE,
     "Rule no does not exist on EventBus shop."),
    ("list_rules", {"EventBusName": "no"}, GONE, "Event bus no does not exist."),
    ("list_rules", {"NextToken": "x"}, VALIDATION, "Token value is not valid."),
    # Targets.
    ("put_targets", target(Arn="arn:x"), VALIDATION, NO_ARN),
    ("put_targets", target(Input="{"), VALIDATION,
     ("JSON syntax error in input for target 1 : Expecting property name enclosed in double "
     "quotes: line 1 column 2 (char 1).")),
    ("put_targets", target(Input="1", InputPath="$.a"), VALIDATION,
     "Only one of Input, InputPath, or InputTransformer must be provided for target 1."),
    ("put_targets", target(InputPath="a"), VALIDATION, "Invalid JsonPath for target 1."),
    ("put_targets", target(InputTransformer={"InputTemplate": '"<a> <b>"'}), VALIDATION,
     ("Invalid InputTemplate for target 1 : [InputTemplate for target 1 contains placeholder(s) a, "
     "b that cannot be found in InputPathsMap.]")),
    ("put_targets",
     target(InputTransformer={"InputPathsMap": {"a": "$.a"}, "InputTemplate": "{<a>: 1}"}),
     VALIDATION, "Invalid InputTemplate for target 1 : a placeholder is no object key."),
    ("put_targets", target(Arn=f"{BUS}x", Input="1"), VALIDATION,
     "Input, InputPath and InputTransformer are not supported for target 1."),
    ("put_targets", target(Arn=f"{QUEUE}.fifo"), VALIDATION,
     "Parameter(s) SqsParameters must be specified for target: 1."),
    ("put_targets",
     target(Arn=QUEUE.replace("sqs", "sns"), SqsParameters={"MessageGroupId": "g"}), VALIDATION,
     "Parameter(s) SqsParameters are not supported for target: 1."),
    ("put_targets", target(KinesisParameters={"PartitionKeyPath": "$.a"}), VALIDATION,
     "Parameter(s) KinesisParameters are not supported for target: 1."),
    ("put_targets", target(HttpParameters={"HeaderParameters": {"a": "b"}}), VALIDATION,
     "Parameter(s) HttpParameters are not supported for target: 1."),
    ("put_targets", target(DeadLetterConfig={"Arn": "arn:x"}), VALIDATION, NO_ARN),
    ("put_targets", target(EcsParameters={"TaskDefinitionArn": "a"}), "NotImplemented",
     "events: targets with EcsParameters exist in AWS and not yet in this cloud"),
    ("put_targets", target(Arn=f"arn:aws:events:{REGION}:{ACCOUNT}:api-destination/no/1"), GONE,
     "Api Destination no does not exist."),
    ("put_targets", {"Rule": "r", "Targets": target()["Targets"] * 2}, VALIDATION,
     "Target ids in the request must be unique."),
    ("put_targets", {**target(), "Rule": "no"}, GONE,
     "Rule no does not exist on EventBus default."),
    ("list_targets_by_rule", {"Rule": "r", "NextToken": "x"}, VALIDATION,
     "Token value is not valid."),
    # Events.
    ("test_event_pattern", {"EventPattern": ANY, "Event": "{"}, VALIDATION,
     "Parameter Event is not valid."),
    ("test_event_pattern", {"EventPattern": ANY, "Event": "[]"}, VALIDATION,
     "Parameter Event is not valid."),
    ("test_event_pattern", {"EventPattern": ANY, "Event": '{"id": "1"}'}, VALIDATION,
     "Parameter Event is not valid. Reason: account is missing."),
    # Archives and replays.
    ("create_archive", {"ArchiveName": "a", "EventSourceArn": BUS},
     "ResourceAlreadyExistsException", "Archive a already exists."),
    ("create_archive", {"ArchiveName": "x", "EventSourceArn": BUS.replace(ACCOUNT, OTHER)},
     VALIDATION, "Parameter EventSourceArn is not valid. Reason: it is not yours."),
    ("create_archive",
     {"ArchiveName": "x", "EventSourceArn": BUS, "EventPattern": '{"replay-name": ["x"]}'},
     "InvalidEventPatternException",
     "Event pattern is not valid. Reason: replay-name is set by EventBridge"),
    ("create_archive", {"ArchiveName": "x", "EventSourceArn": BUS, "KmsKeyIdentifier": "k"},
     "NotImplemented", "events: archives under customer managed keys exist in AWS and not yet here"),
    ("describe_archive", {"ArchiveName": "no"}, GONE, "Archive no does not exist."),
    ("delete_archive", {"ArchiveName": "no"}, GONE, "Archive no does not exist."),
    ("describe_replay", {"ReplayName": "no"}, GONE, "Replay no does not exist."),
    ("cancel_replay", {"ReplayName": "no"}, GONE, "Replay no does not exist."),
    # Connections and API destinations.
    ("create_connection",
     {"Name": "c", "AuthorizationType": "API_KEY", "AuthParameters": KEY},
     "ResourceAlreadyExistsException", "Connection c already exists."),
    ("create_connection",
     {"Name": "x", "AuthorizationType": "BASIC", "AuthParameters": KEY}, VALIDATION,
     "AuthParameters do not go with AuthorizationType."),
    ("create_connection",
     {"Name": "x", "AuthorizationType": "BASIC", "AuthParameters": {}}, VALIDATION,
     "AuthParameters must contain BasicAuthParameters for BASIC."),
    ("create_connection",
     {"Name": "x", "AuthorizationType": "OAUTH_CLIENT_CREDENTIALS", "AuthParameters": OAUTH},
     VALIDATION,
     "Parameter AuthorizationEndpoint is not valid. Reason: it must be an HTTPS URL."),
    ("describe_connection", {"Name": "no"}, GONE, "Connection 'no' does not exist."),
    ("delete_connection", {"Name": "no"}, GONE, "Connection 'no' does not exist."),
    ("describe_api_destination", {"Name": "no"}, GONE, "An api-destination 'no' does not exist."),
    # Tags.
    ("tag_resource", {"ResourceARN": "arn:x", "Tags": []}, VALIDATION, NO_ARN),
    ("list_tags_for_resource", {"ResourceARN": f"{BUS}-no"}, GONE,
     "Event bus default-no does not exist."),
    ("tag_resource", {"ResourceARN": BUS, "Tags": [{"Key": "aws:x", "Value": "y"}]}, VALIDATION,
     "Tag keys that start with aws: are reserved for system use"),
]  # fmt: skip


async def prepare(world: World) -> None:
    """A rule with a target on each bus, an archive, and a connection."""
    await world.call("events", "create_event_bus", Name="shop")
    await world.call(
        "events", "put_permission", EventBusName="shop", Action="events:PutEvents",
        Principal=OTHER, StatementId="s",
    )  # fmt: skip
    arn = await queue(world, "q")
    await rule(world, "r", {"Arn": arn})
    await rule(world, "r", EventBusName="shop")
    await world.call("events", "create_archive", ArchiveName="a", EventSourceArn=BUS)
    await world.call(
        "events", "create_connection", Name="c", AuthorizationType="API_KEY", AuthParameters=KEY
    )


@pytest.mark.parametrize("part", range(4))
def test_what_cannot_be_is_refused_in_aws_words(part: int) -> None:
    async def story(world: World) -> None:
        await prepare(world)
        for method, req, code, text in REFUSED[part::4]:
            call = world.call("events", method, **req)
            assert await refusal(call) == (code, text), (method, req)

    run(story)


@told
async def test_a_replay_needs_times_in_their_order_and_the_bus_of_its_archive(
    world: World,
) -> None:
    await prepare(world)
    given: dict[str, Any] = {
        "ReplayName": "again",
        "EventSourceArn": BUS.replace("event-bus/default", "archive/a"),
        "EventStartTime": world.now.replace(year=2029),
        "EventEndTime": world.now,
        "Destination": {"Arn": BUS},
    }
    for more, code, text in (
        ({"EventEndTime": given["EventStartTime"]}, VALIDATION,
         ("Parameter EventEndTime is not valid. Reason: EventStartTime must be before "
         "EventEndTime.")),
        ({"Destination": {"Arn": BUS.replace("default", "shop")}}, VALIDATION,
         ("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not "
         "permitted.")),
        ({"EventSourceArn": BUS.replace("event-bus/default", "archive/no")}, GONE,
         "Archive no does not exist."),
    ):  # fmt: skip
        call = world.call("events", "start_replay", **{**given, **more})
        assert await refusal(call) == (code, text)
    await world.call("events", "start_replay", **given)
    assert await refusal(world.call("events", "start_replay", **given)) == (
        "ResourceAlreadyExistsException",
        "Replay again already exists.",
    )
    await world.settle()
    assert await refusal(world.call("events", "cancel_replay", ReplayName="again")) == (
        "IllegalStatusException",
        "Replay again is not in a valid state for this operation.",
    )
