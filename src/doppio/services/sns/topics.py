"""Topics: their life, attributes, permissions and tags."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.authorise import (
    InvalidPrincipal,
    check_policy_document,
    forget_resource,
    put_resource,
    resource_policy,
)
from doppio.kernel.context import Context, Tx
from doppio.kernel.paging import steps
from doppio.services.sns import limits
from doppio.services.sns.archive import with_archive
from doppio.services.sns.attributes import checked_topic_attribute, shown_topic
from doppio.services.sns.errors import InvalidParameter, InvalidState, ResourceNotFound
from doppio.services.sns.lookup import (
    arn_parts,
    existing_topic,
    listed_tags,
    merged_tags,
    page,
)
from doppio.services.sns.protection import checked
from doppio.services.sns.records import Subscription, Topic
from doppio.services.sns.statuses import may_pass

if TYPE_CHECKING:
    from doppio._stubs import sns as w

FORGET = "sns.forget"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
_FIFO_NAME = re.compile(r"[A-Za-z0-9_-]{1,251}\.fifo")
_PERMITTED = frozenset(
    {
        "Publish", "RemovePermission", "SetTopicAttributes", "DeleteTopic",
        "ListSubscriptionsByTopic", "GetTopicAttributes", "AddPermission", "Subscribe",
    }
)  # fmt: skip


class Topics:
    """The operations on topics."""

    async def create_topic(self, ctx: Context, req: w.CreateTopicInput) -> w.CreateTopicResponse:
        """Create a topic; one of the same name, attributes and tags is no error."""
        name = req["Name"]
        given = dict(req.get("Attributes") or {})
        fifo = given.pop("FifoTopic", "false").lower() == "true"
        _check_name(name, fifo=fifo)
        for attribute, value in given.items():
            checked_topic_attribute(attribute, value, fifo=fifo, creating=True)
        protection = checked(req.get("DataProtectionPolicy", ""))
        archive = given.pop("ArchivePolicy", "")
        policy = given.pop("Policy", None)
        await may_pass(ctx, given)
        wanted = Topic(
            account=ctx.account,
            region=ctx.region,
            name=name,
            partition=ctx.partition,
            attributes={key: value for key, value in given.items() if value},
            data_protection=protection,
            tags=merged_tags({}, listed_tags(req.get("Tags"))),
        )
        async with ctx.write() as tx:
            old = await tx.get(Topic, ctx.account, ctx.region, name)
            if old is not None:
                same = {**given, "ArchivePolicy": archive} if archive else given
                _check_same(old, wanted, same, tagged="Tags" in req)
                return {"TopicArn": old.arn}
            if archive:
                wanted = await with_archive(tx, wanted, archive)
            tx.put(wanted)
            put_policy(tx, wanted, policy)
            tx.meter("Requests-Tier1")
        return {"TopicArn": wanted.arn}

    async def delete_topic(self, ctx: Context, req: w.DeleteTopicInput) -> None:
        """Delete a topic and its subscriptions; one that is gone is no error."""
        parts = arn_parts(req["TopicArn"], "TopicArn")
        async with ctx.write() as tx:
            topic = await tx.get(Topic, parts[4], parts[3], parts[5])
            if topic is None:
                return
            if topic.archived_since is not None:
                raise InvalidState
            tx.delete(topic)
            forget_resource(tx, topic.arn)
            await tx.schedule(ctx.now, FORGET, topic.arn, deleted_at=ctx.now.isoformat())
            tx.meter("Requests-Tier1")

    async def list_topics(self, ctx: Context, req: w.ListTopicsInput) -> w.ListTopicsResponse:
        """The account's topics in the Region, by pages of 100."""
        scope = f"topics/{ctx.account}/{ctx.region}"
        shown, token = await page(ctx.read(), Topic, (ctx.account, ctx.region), req, scope)
        result: w.ListTopicsResponse = {"Topics": [{"TopicArn": topic.arn} for topic in shown]}
        if token is not None:
            result["NextToken"] = token
        return result

    async def get_topic_attributes(
        self, ctx: Context, req: w.GetTopicAttributesInput
    ) -> w.GetTopicAttributesResponse:
        """What a topic is set to, and how many have subscribed."""
        reader = ctx.read()
        topic = await existing_topic(reader, req["TopicArn"])
        confirmed = pending = 0
        step = limits.SUBSCRIPTIONS_A_READ
        async for found in steps(reader, Subscription, (topic.arn,), step=step):
            pending += sum(1 for one in found if one.pending)
            confirmed += sum(1 for one in found if not one.pending)
        policy = await resource_policy(reader, topic.arn) or ""
        return {"Attributes": dict(shown_topic(topic, policy, confirmed, pending, ctx.now))}

    async def set_topic_attributes(self, ctx: Context, req: w.SetTopicAttributesInput) -> None:
        """Set one attribute; an empty value takes it off."""
        name, value = req["AttributeName"], req.get("AttributeValue", "")
        await may_pass(ctx, {name: value})
        async with ctx.write() as tx:
            topic = await existing_topic(tx, req["TopicArn"])
            checked_topic_attribute(name, value, fifo=topic.fifo)
            if name == "Policy":
                put_policy(tx, topic, value or None)
                return
            if name == "ArchivePolicy":
                tx.put(await with_archive(tx, topic, value))
                return
            attributes = {**topic.attributes, name: value}
            if not value:
                del attributes[name]
            tx.put(replace(topic, attributes=attributes))

    async def add_permission(self, ctx: Context, req: w.AddPermissionInput) -> None:
        """Add a statement, named by its label, to the topic's policy."""
        for action in req["ActionName"]:
            if action not in _PERMITTED:
                raise InvalidParameter("Policy statement action out of service scope!")
        async with ctx.write() as tx:
            topic = await existing_topic(tx, req["TopicArn"])
            policy = json.loads(await resource_policy(tx, topic.arn) or "")
            if any(one.get("Sid") == req["Label"] for one in policy["Statement"]):
                raise InvalidParameter("Statement already exists")
            principals = [
                f"arn:{ctx.partition}:iam::{account}:root" for account in req["AWSAccountId"]
            ]
            actions = [f"SNS:{action}" for action in req["ActionName"]]
            policy["Statement"].append(
                {
                    "Sid": req["Label"],
                    "Effect": "Allow",
                    "Principal": {"AWS": principals[0] if len(principals) == 1 else principals},
                    "Action": actions[0] if len(actions) == 1 else actions,
                    "Resource": topic.arn,
                }
            )
            put_policy(tx, topic, json.dumps(policy))

    async def remove_permission(self, ctx: Context, req: w.RemovePermissionInput) -> None:
        """Take the statement of this label out of the topic's policy; none is no error."""
        async with ctx.write() as tx:
            topic = await existing_topic(tx, req["TopicArn"])
            policy = json.loads(await resource_policy(tx, topic.arn) or "")
            kept = [one for one in policy["Statement"] if one.get("Sid") != req["Label"]]
            if len(kept) != len(policy["Statement"]):
                policy["Statement"] = kept
                put_policy(tx, topic, json.dumps(policy) if kept else None)

    async def tag_resource(self, ctx: Context, req: w.TagResourceRequest) -> None:
        """Put tags on a topic, over those of the same keys."""
        async with ctx.write() as tx:
            topic = await _tagged(tx, req["ResourceArn"])
            tx.put(replace(topic, tags=merged_tags(topic.tags, listed_tags(req["Tags"]))))

    async def untag_resource(self, ctx: Context, req: w.UntagResourceRequest) -> None:
        """Take tags off a topic."""
        async with ctx.write() as tx:
            topic = await _tagged(tx, req["ResourceArn"])
            tx.put(replace(topic, tags=tags.without(topic.tags, req["TagKeys"])))

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceRequest
    ) -> w.ListTagsForResourceResponse:
        """The tags of a topic."""
        topic = await _tagged(ctx.read(), req["ResourceArn"])
        return {"Tags": tags.to_list(topic.tags)}  # type: ignore[typeddict-item]


async def _tagged(reader: Any, arn: str) -> Topic:
    parts = arn_parts(arn, "ResourceArn")
    topic: Topic | None = await reader.get(Topic, parts[4], parts[3], parts[5])
    if topic is None:
        raise ResourceNotFound
    return topic


def _check_name(name: str, *, fifo: bool) -> None:
    if fifo and _FIFO_NAME.fullmatch(name) is None:
        raise InvalidParameter(
            "Fifo Topic names must end with .fifo and must be made up of only uppercase and "
            "lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and "
            "256 characters long."
        )
    if not fifo and _NAME.fullmatch(name) is None:
        raise InvalidParameter("Topic Name")


def _check_same(old: Topic, new: Topic, given: Mapping[str, str], *, tagged: bool) -> None:
    """Creating a topic again is an error only if it asks for something else."""
    if any(old.attributes.get(name, "") != value for name, value in given.items()):
        raise InvalidParameter("Attributes Reason: Topic already exists with different attributes")
    if tagged and old.tags != new.tags:
        raise InvalidParameter("Tags Reason: Topic already exists with different tags")


def put_policy(tx: Tx, topic: Topic, document: str | None) -> None:
    """Hang a policy on a topic; without one it has AWS's default, which lets its owner in."""
    if document is not None:
        if len(document.encode()) > limits.POLICY_BYTES_MAX:
            raise InvalidParameter("Policy Error: too large")
        try:
            check_policy_document(document, needs_principal=True, partition=topic.partition)
        except InvalidPrincipal as error:
            raise InvalidParameter("Policy Error: PrincipalNotFound") from error
        except ValueError as error:
            raise InvalidParameter("Policy Error: null") from error
    put_resource(tx, topic.arn, topic.account, document or default_policy(topic))


def default_policy(topic: Topic) -> str:
    """The policy of a topic that was given none: only for what its owner's services tell."""
    actions = [
        "SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission",
        "SNS:RemovePermission", "SNS:DeleteTopic", "SNS:Subscribe",
        "SNS:ListSubscriptionsByTopic", "SNS:Publish",
    ]  # fmt: skip
    return json.dumps(
        {
            "Version": "2008-10-17",
            "Id": "__default_policy_ID",
            "Statement": [
                {
                    "Sid": "__default_statement_ID",
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": actions,
                    "Resource": topic.arn,
                    "Condition": {"StringEquals": {"AWS:SourceOwner": topic.account}},
                }
            ],
        }
    )
