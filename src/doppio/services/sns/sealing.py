"""Encrypted topics: what waits to be delivered, or is archived, lies sealed on disk.

Publishing asks KMS for a data key as the publisher, so who may not use the topic's key is refused,
whether or not anything will have to be kept. What is kept, is sealed with that data key. At a later
try there is nobody left as whom to ask KMS: so the data key lies beside the message, wrapped by the
cloud's own key, and not by KMS.

Source: "Securing Amazon SNS data with server-side encryption": the text is sealed, and not the
subject, the attributes and the ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.data_keys import DataKeys
from doppio.kernel.own_keys import own_cipher, seal, unseal
from doppio.services.sns import limits
from doppio.services.sns.errors import (
    KMSAccessDenied,
    KMSDisabled,
    KMSInvalidState,
    KMSNotFound,
    KMSThrottling,
)
from doppio.services.sns.records import Message, Seal, Topic
from doppio.wire.errors import AwsError

_OWN = "sns"
_REFUSALS: Mapping[str, type[AwsError]] = {
    "AccessDeniedException": KMSAccessDenied,
    "DisabledException": KMSDisabled,
    "InvalidKeyUsageException": KMSInvalidState,
    "KMSInvalidStateException": KMSInvalidState,
    "NotFoundException": KMSNotFound,
    "ThrottlingException": KMSThrottling,
}
_keys = DataKeys("sns", _REFUSALS)


async def may_publish(ctx: Context, topic: Topic) -> None:
    """Whether the publisher may use the topic's key. Raises SNS's KMS errors."""
    if "KmsMasterKeyId" in topic.attributes:
        await _data_key(ctx, topic)


async def sealed(ctx: Context, topic: Topic, message: Message) -> Message:
    """The message as it is kept: as it is, where the topic has no key."""
    if "KmsMasterKeyId" not in topic.attributes:
        return message
    key = await _data_key(ctx, topic)
    own = await own_cipher(ctx, _OWN)
    plain = msgspec.msgpack.encode((message.text, message.structure))
    lock = Seal(
        key=seal(ctx, own, key, message.topic.encode()),
        text=seal(ctx, AESGCM(key), plain, message.id.encode()),
    )
    return replace(message, text="", structure=None, seal=lock)


async def opened(ctx: Context, message: Message) -> Message:
    """A message that was kept, in clear."""
    lock = message.seal
    if lock is None:
        return message
    key = unseal(await own_cipher(ctx, _OWN), lock.key, message.topic.encode())
    plain = unseal(AESGCM(key), lock.text, message.id.encode())
    text, structure = msgspec.msgpack.decode(plain, type=tuple[str, dict[str, str] | None])
    return replace(message, text=text, structure=structure, seal=None)


async def _data_key(ctx: Context, topic: Topic) -> bytes:
    context: dict[str, Any] = {"aws:sns:topicArn": topic.arn}
    key_id = topic.attributes["KmsMasterKeyId"]
    found = await _keys.for_sealing(ctx, topic.arn, key_id, context, limits.DATA_KEY_REUSE)
    return found.plain
