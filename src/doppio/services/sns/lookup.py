"""Finding topics and subscriptions by their ARNs, and saying as SNS does when they are not there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from doppio.kernel import paging, tags
from doppio.kernel.context import Reader
from doppio.kernel.records import Index, table_of
from doppio.services.sns import limits
from doppio.services.sns.errors import InvalidParameter, NotFound, TagLimitExceeded
from doppio.services.sns.records import Subscription, Topic

T = TypeVar("T")
_ARN_PARTS = 6
_TOPICS = table_of(Topic)


def arn_parts(arn: str, name: str) -> list[str]:
    """The parts of a topic's ARN. Raises InvalidParameter, naming the member."""
    parts = arn.split(":")
    if len(parts) < _ARN_PARTS:
        raise InvalidParameter(
            f"{name} Reason: An ARN must have at least 6 elements, not {len(parts)}"
        )
    if parts[0] != "arn" or parts[2] != "sns" or not parts[5]:
        raise InvalidParameter(name)
    return parts


async def existing_topic(reader: Reader, arn: str, name: str = "TopicArn") -> Topic:
    """The topic of an ARN. Raises NotFound."""
    parts = arn_parts(arn, name)
    if len(parts) != _ARN_PARTS:
        raise InvalidParameter(name)
    topic = await reader.get(Topic, parts[4], parts[3], parts[5])
    if topic is None:
        raise NotFound
    return topic


async def topic_in_use(reader: Reader, arn: str, name: str = "TopicArn") -> Topic:
    """The same for who only uses the topic and does not change it. Raises NotFound."""
    row = await reader.raw.get(_topic_key(arn, name))
    if row is None:
        raise NotFound
    return _TOPICS.decode_known(row)


@lru_cache(4_096)
def _topic_key(arn: str, name: str) -> bytes:
    parts = arn_parts(arn, name)
    if len(parts) != _ARN_PARTS:
        raise InvalidParameter(name)
    return _TOPICS.key_of((parts[4], parts[3], parts[5]))


async def existing_subscription(reader: Reader, arn: str) -> Subscription:
    """The subscription of an ARN. Raises NotFound."""
    found = await subscription_of(reader, arn)
    if found is None:
        raise NotFound("Subscription does not exist")
    return found


async def subscription_of(reader: Reader, arn: str) -> Subscription | None:
    """The subscription of an ARN, if it is there."""
    parts = arn_parts(arn, "SubscriptionArn")
    if len(parts) != _ARN_PARTS + 1:
        raise InvalidParameter("SubscriptionArn")
    return await reader.get(Subscription, ":".join(parts[:-1]), parts[-1])


def position(req: Mapping[str, Any], scope: str, member: str = "NextToken") -> bytes | None:
    """Where a page begins. Raises InvalidParameter for a token that this list never gave."""
    return paging.position(
        req.get(member),
        scope,
        lambda: InvalidParameter(f"{member} Reason: The token is not valid"),
    )


async def page(
    reader: Reader,
    of: type[T] | Index[T],
    prefix: tuple[Any, ...],
    req: Mapping[str, Any],
    scope: str,
) -> tuple[list[T], str | None]:
    """A page of a hundred rows, as most of SNS's lists have them, and the token of the next one."""
    return await paging.page_of(
        reader, of, prefix, most=limits.LISTED_MAX, scope=scope, after=position(req, scope)
    )


def merged_tags(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Tags with new ones over them, or SNS's refusal."""
    if len({**old, **new}) > tags.TAGS_MAX:
        raise TagLimitExceeded
    try:
        return tags.merged(old, new)
    except tags.BadTags as error:
        raise InvalidParameter(f"Tags Reason: {error}") from error


def listed_tags(given: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Tags as requests bring them. Raises InvalidParameter."""
    try:
        return tags.from_list(given or [])
    except tags.BadTags as error:
        raise InvalidParameter(f"Tags Reason: {error}") from error
