"""Encrypted queues: bodies lie on disk as ciphertext, and come out as they were.

SSE-SQS, where it was asked for: under the cloud's own key, for nobody to see or manage. (It costs
a send some seven in a hundred, so queues whose owner said nothing go without.) SSE-KMS: under data keys that only KMS can open. KMS is asked as the caller, so who may not use the key can
neither send nor receive; a data key is used again for the queue's reuse period
(`kernel.data_keys`). A body that moves to another queue stays as it is, and opens there.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from doppio.kernel import data_keys
from doppio.kernel.context import Context
from doppio.kernel.own_keys import Damaged, own_cipher, seal, unseal
from doppio.services.sqs.errors import (
    KmsAccessDenied,
    KmsDisabled,
    KmsInvalidKeyUsage,
    KmsInvalidState,
    KmsNotFound,
    KmsThrottled,
)
from doppio.services.sqs.records import FifoMessage, Message, Queue, Seal
from doppio.services.sqs.sending import Draft
from doppio.wire.errors import AwsError

_OWN = "sqs"
_REFUSALS: Mapping[str, type[AwsError]] = {
    "AccessDeniedException": KmsAccessDenied,
    "DisabledException": KmsDisabled,
    "InvalidKeyUsageException": KmsInvalidKeyUsage,
    "KMSInvalidStateException": KmsInvalidState,
    "NotFoundException": KmsNotFound,
    "ThrottlingException": KmsThrottled,
}
AnyMessage = TypeVar("AnyMessage", bound=Message | FifoMessage)


class DataKeys:
    """Seals and opens bodies."""

    def __init__(self) -> None:
        self._keys = data_keys.DataKeys("sqs", _REFUSALS)

    async def sealed(self, ctx: Context, queue: Queue, sent: Draft) -> Draft:
        """A message as an encrypted queue keeps it."""
        if queue.kms_key is None:
            own = ctx.kernel.own_ciphers.get(_OWN) or await own_cipher(ctx, _OWN)
            body = replace(sent.body, text="", seal=seal(ctx, own, sent.utf8))
            return replace(sent, body=body)
        key = await self._keys.for_sealing(
            ctx, queue.id, queue.kms_key, _context(queue.arn), queue.kms_reuse
        )
        sealed = base64.b64encode(seal(ctx, AESGCM(key.plain), sent.utf8))
        body = replace(sent.body, text=sealed.decode(), seal=Seal(key.wrapped, queue.arn))
        return replace(sent, body=body)

    async def opened(self, ctx: Context, queue: Queue, message: AnyMessage) -> AnyMessage:
        """A message with its text in clear, as its receiver gets it."""
        lock = message.body.seal
        if lock is None:
            return message
        if isinstance(lock, bytes):
            own = ctx.kernel.own_ciphers.get(_OWN) or await own_cipher(ctx, _OWN)
            text = unseal(own, lock)
        else:
            text = await self._text(ctx, queue, message.body.text, lock)
        return replace(message, body=replace(message.body, text=text.decode(), seal=None))

    async def _text(self, ctx: Context, queue: Queue, text: str, lock: Seal) -> bytes:
        plain = await self._keys.for_opening(
            ctx, lock.wrapped, _context(lock.queue), queue.kms_reuse
        )
        try:
            return unseal(AESGCM(plain), base64.b64decode(text))
        except Damaged as error:
            raise KmsInvalidState("The message cannot be decrypted.") from error


def _context(arn: str) -> dict[str, str]:
    return {"aws:sqs:arn": arn}
