"""SSE-KMS: bodies lie on disk under data keys, which only KMS can open.

KMS is asked as the caller, so who may not use the key can neither send nor receive. A data key is
used again for the queue's reuse period (`kernel.data_keys`). A queue without a key never comes here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.data_keys import DataKeys
from doppio.kernel.own_keys import Damaged, seal, unseal
from doppio.services.sqs.errors import (
    KmsAccessDenied,
    KmsDisabled,
    KmsInvalidKeyUsage,
    KmsInvalidState,
    KmsNotFound,
    KmsThrottled,
)
from doppio.services.sqs.records import Body, FifoMessage, Message, Queue, Seal
from doppio.wire.errors import AwsError

_REFUSALS: Mapping[str, type[AwsError]] = {
    "AccessDeniedException": KmsAccessDenied,
    "DisabledException": KmsDisabled,
    "InvalidKeyUsageException": KmsInvalidKeyUsage,
    "KMSInvalidStateException": KmsInvalidState,
    "NotFoundException": KmsNotFound,
    "ThrottlingException": KmsThrottled,
}
AnyMessage = TypeVar("AnyMessage", bound=Message | FifoMessage)


class Sealing:
    """Seals and opens bodies."""

    def __init__(self) -> None:
        self._keys = DataKeys("sqs", _REFUSALS)

    async def sealed(self, ctx: Context, queue: Queue, body: Body) -> Body:
        """A body as it is kept, its text under a data key of the queue's KMS key."""
        assert queue.kms_key is not None
        key = await self._keys.for_sealing(
            ctx, queue.id, queue.kms_key, _context(queue.arn), queue.kms_reuse
        )
        text = seal(ctx, AESGCM(key.plain), body.text.encode())
        return replace(
            body, text=base64.b64encode(text).decode(), seal=Seal(key.wrapped, queue.arn)
        )

    async def opened(self, ctx: Context, queue: Queue, message: AnyMessage) -> AnyMessage:
        """A message with its text in clear, as its receiver gets it."""
        lock = message.body.seal
        if lock is None:
            return message
        plain = await self._keys.for_opening(
            ctx, lock.wrapped, _context(lock.queue), queue.kms_reuse
        )
        try:
            text = unseal(AESGCM(plain), base64.b64decode(message.body.text))
        except Damaged as error:
            raise KmsInvalidState("The message cannot be decrypted.") from error
        return replace(message, body=replace(message.body, text=text.decode(), seal=None))


def _context(arn: str) -> dict[str, str]:
    return {"aws:sqs:arn": arn}
