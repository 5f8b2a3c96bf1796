"""Topics: their life, attributes, permissions and tags."""

from __future__ import annotations

import json

from tests.services.kms.helpers import allow, user
from tests.services.sns.helpers import queue, subscribe, topic
from tests.services.world import ACCOUNT, OTHER, REGION, World, refusal, told


@told
async def test_a_topic_is_created_listed_and_deleted(world: World) -> None:
    arn = await topic(world)
    assert arn == f"arn:aws:sns:{REGION}:{ACCOUNT}:news"
    assert await topic(world) == arn
    assert (await world.call("sns", "list_topics"))["Topics"] == [{"TopicArn": arn}]
    await world.call("sns", "delete_topic", TopicArn=arn)
    await world.call("sns", "delete_topic", TopicArn=arn)
    assert (await world.call("sns", "list_topics"))["Topics"] == []
    assert await refusal(world.call("sns", "get_topic_attributes", TopicArn=arn)) == (
        "NotFound",
        "Topic does not exist",
    )


@told
async def test_a_topic_created_again_must_be_the_same(world: World) -> None:
    await topic(world, DisplayName="News")
    assert await refusal(topic(world, DisplayName="Other")) == (
        "InvalidParameter",
        "Invalid parameter: Attributes Reason: Topic already exists with different attributes",
    )
    again = world.call("sns", "create_topic", Name="news", Tags=[{"Key": "a", "Value": "b"}])
    assert await refusal(again) == (
        "InvalidParameter",
        "Invalid parameter: Tags Reason: Topic already exists with different tags",
    )


@told
async def test_names_are_checked(world: World) -> None:
    for name in ("", "a b", "x" * 257, "news.fifo"):
        assert (await refusal(world.call("sns", "create_topic", Name=name)))[0] in {
            "InvalidParameter",
            "ValidationError",
        }
    await world.call("sns", "create_topic", Name="x" * 256)
    wrong = world.call("sns", "create_topic", Name="news", Attributes={"FifoTopic": "true"})
    assert (await refusal(wrong))[1].startswith(
        "Invalid parameter: Fifo Topic names must end with .fifo"
    )


@told
async def test_attributes_are_set_shown_and_taken_off(world: World) -> None:
    arn = await topic(world)

    async def shown() -> dict[str, str]:
        found: dict[str, str] = (await world.call("sns", "get_topic_attributes", TopicArn=arn))[
            "Attributes"
        ]
        return found

    first = await shown()
    assert (first["Owner"], first["SubscriptionsConfirmed"]) == (ACCOUNT, "0")
    assert (
        json.loads(first["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"][
            "numRetries"
        ]
        == 3
    )
    assert "SNS:Publish" in json.loads(first["Policy"])["Statement"][0]["Action"]
    await world.call(
        "sns", "set_topic_attributes", TopicArn=arn, AttributeName="DisplayName", AttributeValue="N"
    )
    assert (await shown())["DisplayName"] == "N"
    await world.call("sns", "set_topic_attributes", TopicArn=arn, AttributeName="DisplayName")
    assert (await shown())["DisplayName"] == ""
    wrong = world.call(
        "sns", "set_topic_attributes", TopicArn=arn, AttributeName="Colour", AttributeValue="red"
    )
    assert await refusal(wrong) == ("InvalidParameter", "Invalid parameter: AttributeName")
    for name, value, code in (
        ("SQSSuccessFeedbackSampleRate", "101", "InvalidParameter"),
        ("SQSSuccessFeedbackRoleArn", "arn:aws:iam::000000000000:user/r", "InvalidParameter"),
        ("TracingConfig", "Active", "NotImplemented"),
    ):
        wrong = world.call(
            "sns", "set_topic_attributes", TopicArn=arn, AttributeName=name, AttributeValue=value
        )
        assert (await refusal(wrong))[0] == code
    await world.call(
        "sns",
        "set_topic_attributes",
        TopicArn=arn,
        AttributeName="SQSSuccessFeedbackSampleRate",
        AttributeValue="0",
    )


@told
async def test_subscriptions_are_counted(world: World) -> None:
    arn = await topic(world)
    to = await queue(world, "q")
    subscription = await subscribe(world, arn, to)
    await world.call("sns", "subscribe", TopicArn=arn, Protocol="email", Endpoint="a@example.com")
    found = (await world.call("sns", "get_topic_attributes", TopicArn=arn))["Attributes"]
    assert (found["SubscriptionsConfirmed"], found["SubscriptionsPending"]) == ("1", "1")
    await world.call("sns", "unsubscribe", SubscriptionArn=subscription)
    found = (await world.call("sns", "get_topic_attributes", TopicArn=arn))["Attributes"]
    assert (found["SubscriptionsConfirmed"], found["SubscriptionsDeleted"]) == ("0", "1")


@told
async def test_another_account_may_publish_once_it_is_permitted(world: World) -> None:
    arn = await topic(world)
    publish = {"TopicArn": arn, "Message": "hello"}
    denied = await refusal(world.call("sns", "publish", account=OTHER, **publish))
    assert denied[0] == "AccessDeniedException"
    await world.call(
        "sns",
        "add_permission",
        TopicArn=arn,
        Label="other",
        AWSAccountId=[OTHER],
        ActionName=["Publish"],
    )
    await world.call("sns", "publish", account=OTHER, **publish)
    await world.call("sns", "remove_permission", TopicArn=arn, Label="other")
    assert (await refusal(world.call("sns", "publish", account=OTHER, **publish)))[0] == (
        "AccessDeniedException"
    )


@told
async def test_tags_are_put_and_taken_off(world: World) -> None:
    arn = await topic(world)
    await world.call(
        "sns",
        "tag_resource",
        ResourceArn=arn,
        Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
    )
    await world.call("sns", "untag_resource", ResourceArn=arn, TagKeys=["a"])
    found = await world.call("sns", "list_tags_for_resource", ResourceArn=arn)
    assert found["Tags"] == [{"Key": "b", "Value": "2"}]
    gone = world.call("sns", "list_tags_for_resource", ResourceArn=arn + "x")
    assert (await refusal(gone))[0] == "ResourceNotFound"


@told
async def test_a_new_topic_of_an_old_name_has_no_subscribers(world: World) -> None:
    arn = await topic(world)
    await subscribe(world, arn, await queue(world, "q"))
    await world.call("sns", "delete_topic", TopicArn=arn)
    await topic(world)
    await world.settle()
    found = await world.call("sns", "list_subscriptions_by_topic", TopicArn=arn)
    assert found["Subscriptions"] == []


@told
async def test_pages_of_topics_are_exact(world: World) -> None:
    names = sorted([f"t{at:03d}" for at in range(205)])
    for name in names:
        await topic(world, name)
    seen: list[str] = []
    token: dict[str, str] = {}
    pages = 0
    while True:
        page = await world.call("sns", "list_topics", **token)
        seen += [one["TopicArn"].rpartition(":")[2] for one in page["Topics"]]
        pages += 1
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert (seen, pages) == (names, 3)
    wrong = await refusal(world.call("sns", "list_topics", NextToken="forged"))
    assert wrong[0] == "InvalidParameter"


@told
async def test_a_policy_may_ask_for_a_topics_own_tags(world: World) -> None:
    arn = await topic(world)
    await world.call("sns", "tag_resource", ResourceArn=arn, Tags=[{"Key": "Team", "Value": "bar"}])
    tagged = {"StringEquals": {"aws:ResourceTag/Team": "bar"}}
    ada = await user(world, "ada", allow("sns:*", Condition=tagged))
    await world.call("sns", "publish", caller=ada, TopicArn=arn, Message="x")
    await world.call("sns", "untag_resource", ResourceArn=arn, TagKeys=["Team"])
    denied = world.call("sns", "publish", caller=ada, TopicArn=arn, Message="x")
    assert (await refusal(denied))[0] == "AccessDeniedException"
