"""What hangs on streams and consumers: tags and policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.authorise import (
    check_policy_document,
    forget_resource,
    put_resource,
    resource_policy,
)
from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.tags import BadTags, merged, to_list, without
from doppio.services.kinesis import limits
from doppio.services.kinesis.errors import (
    InvalidArgumentException,
    LimitExceededException,
    ResourceNotFoundException,
)
from doppio.services.kinesis.lookup import consumer_of, find_stream, stream_of
from doppio.services.kinesis.records import Consumer, Stream

if TYPE_CHECKING:
    from doppio._stubs import kinesis as w


class Belongings:
    """The operations on tags and policies."""

    async def add_tags_to_stream(self, ctx: Context, req: w.AddTagsToStreamInput) -> None:
        """Put tags on a stream."""
        async with ctx.write() as tx:
            await _tag(tx, await stream_of(tx, ctx, req), req["Tags"])

    async def remove_tags_from_stream(self, ctx: Context, req: w.RemoveTagsFromStreamInput) -> None:
        """Take tags off a stream."""
        async with ctx.write() as tx:
            stream = await stream_of(tx, ctx, req)
            tx.put(replace(stream, tags=without(stream.tags, req["TagKeys"])))

    async def list_tags_for_stream(
        self, ctx: Context, req: w.ListTagsForStreamInput
    ) -> w.ListTagsForStreamOutput:
        """A stream's tags by key, by page."""
        stream = await stream_of(ctx.read(), ctx, req)
        start = req.get("ExclusiveStartTagKey", "")
        keys = [key for key in sorted(stream.tags) if not start or key > start]
        most = req.get("Limit", limits.TAGS_A_PAGE)
        return {
            "Tags": [{"Key": key, "Value": stream.tags[key]} for key in keys[:most]],
            "HasMoreTags": len(keys) > most,
        }

    async def tag_resource(self, ctx: Context, req: w.TagResourceInput) -> None:
        """Put tags on a stream or consumer."""
        async with ctx.write() as tx:
            await _tag(tx, await _owner(tx, ctx, req["ResourceARN"]), req["Tags"])

    async def untag_resource(self, ctx: Context, req: w.UntagResourceInput) -> None:
        """Take tags off a stream or consumer."""
        async with ctx.write() as tx:
            owner = await _owner(tx, ctx, req["ResourceARN"])
            tx.put(replace(owner, tags=without(owner.tags, req["TagKeys"])))

    async def list_tags_for_resource(
        self, ctx: Context, req: w.ListTagsForResourceInput
    ) -> w.ListTagsForResourceOutput:
        """The tags of a stream or consumer."""
        owner = await _owner(ctx.read(), ctx, req["ResourceARN"])
        return {"Tags": to_list(owner.tags)}  # type: ignore[typeddict-item]

    async def put_resource_policy(self, ctx: Context, req: w.PutResourcePolicyInput) -> None:
        """Hang a policy on a stream or consumer."""
        document = req["Policy"]
        if len(document.encode()) > limits.POLICY_BYTES_MAX:
            raise LimitExceededException(
                f"The policy exceeds the maximum size of {limits.POLICY_BYTES_MAX} bytes."
            )
        try:
            check_policy_document(document, needs_principal=True, partition=ctx.partition)
        except ValueError as error:
            raise InvalidArgumentException(f"Invalid policy: {error}") from error
        async with ctx.write() as tx:
            owner = await _owner(tx, ctx, req["ResourceARN"])
            put_resource(tx, owner.arn, owner.arn.split(":")[4], document)

    async def get_resource_policy(
        self, ctx: Context, req: w.GetResourcePolicyInput
    ) -> w.GetResourcePolicyOutput:
        """The policy of a stream or consumer."""
        reader = ctx.read()
        owner = await _owner(reader, ctx, req["ResourceARN"])
        document = await resource_policy(reader, owner.arn)
        if document is None:
            raise ResourceNotFoundException(f"No policy found for resource {owner.arn}.")
        return {"Policy": document}

    async def delete_resource_policy(self, ctx: Context, req: w.DeleteResourcePolicyInput) -> None:
        """Take the policy off a stream or consumer."""
        async with ctx.write() as tx:
            owner = await _owner(tx, ctx, req["ResourceARN"])
            if await resource_policy(tx, owner.arn) is None:
                raise ResourceNotFoundException(f"No policy found for resource {owner.arn}.")
            forget_resource(tx, owner.arn)


async def _owner(reader: Reader, ctx: Context, arn: str) -> Stream | Consumer:
    if "/consumer/" in arn:
        return await consumer_of(reader, ctx, {"ConsumerARN": arn})
    return await stream_of(reader, ctx, {"StreamARN": arn})


async def _tag(tx: Tx, owner: Stream | Consumer, tags: Mapping[str, str]) -> None:
    try:
        tx.put(replace(owner, tags=merged(owner.tags, tags)))
    except BadTags as error:
        raise InvalidArgumentException(str(error)) from error


async def tags_of(reader: Reader, arn: str) -> Mapping[str, Any] | None:
    """The tags of a stream or consumer, for policies that ask."""
    stream = await find_stream(reader, arn)
    if stream is None or "/consumer/" not in arn:
        return None if stream is None else stream.tags
    name = arn.rpartition("/")[2].partition(":")[0]
    consumer = await reader.get(Consumer, stream.id, name)
    return None if consumer is None else consumer.tags
