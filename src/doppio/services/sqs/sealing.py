"""SSE-KMS: bodies lie on disk under data keys, which only KMS can open.

KMS is asked as the caller, so who may not use the key can neither send nor receive. A data key is
used again for the queue's reuse period, for the same caller alone; it is held in memory, and after
a restart KMS is asked once more. A queue without a key never comes here.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.services.sqs import limits
from doppio.services.sqs.errors import (
    KmsAccessDenied,
    KmsDisabled,
    KmsInvalidKeyUsage,
    KmsInvalidState,
    KmsNotFound,
    KmsThrottled,
)
from doppio.services.sqs.records import Body, FifoMessage, Message, Queue, Seal
from doppio.wire.errors import AccessDenied, AwsError

_NONCE_BYTES = 12
_REFUSALS: Mapping[str, type[AwsError]] = {
    "DisabledException": KmsDisabled,
    "InvalidKeyUsageException": KmsInvalidKeyUsage,
    "KMSInvalidStateException": KmsInvalidState,
    "NotFoundException": KmsNotFound,
    "ThrottlingException": KmsThrottled,
}
AnyMessage = TypeVar("AnyMessage", bound=Message | FifoMessage)


class _DataKey(NamedTuple):
    plain: bytes
    wrapped: bytes
    until: datetime


class DataKeys:
    """The data keys that may be used again."""

    def __init__(self) -> None:
        self._held: WeakKeyDictionary[Any, dict[tuple[Any, ...], _DataKey]] = WeakKeyDictionary()

    async def sealed(self, ctx: Context, queue: Queue, body: Body) -> Body:
        """A body as it is kept, its text under a data key of the queue's KMS key."""
        key = await self._for_sending(ctx, queue)
        nonce = ctx.kernel.ids.bytes(_NONCE_BYTES)
        text = nonce + AESGCM(key.plain).encrypt(nonce, body.text.encode(), None)
        return replace(
            body, text=base64.b64encode(text).decode(), seal=Seal(key.wrapped, queue.arn)
        )

    async def opened(self, ctx: Context, queue: Queue, message: AnyMessage) -> AnyMessage:
        """A message with its text in clear, as its receiver gets it."""
        seal = message.body.seal
        if seal is None:
            return message
        plain = await self._for_receiving(ctx, queue, seal)
        raw = base64.b64decode(message.body.text)
        try:
            text = AESGCM(plain).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        except InvalidTag as error:
            raise KmsInvalidState("The message cannot be decrypted.") from error
        return replace(message, body=replace(message.body, text=text.decode(), seal=None))

    async def _for_sending(self, ctx: Context, queue: Queue) -> _DataKey:
        held = self._of(ctx)
        name = (queue.id, queue.kms_key, ctx.caller.arn)
        found = held.get(name)
        if found is not None and found.until > ctx.now:
            return found
        context = _context(queue.arn)
        made = await _kms(
            ctx,
            "generate_data_key",
            {"KeyId": queue.kms_key, "KeySpec": "AES_256", "EncryptionContext": context},
        )
        # SQS checks a new key before it uses it: a sender needs kms:Decrypt, too.
        checked = await _kms(
            ctx,
            "decrypt",
            {"CiphertextBlob": made["CiphertextBlob"], "EncryptionContext": context},
        )
        until = ctx.now + queue.kms_reuse
        key = held[name] = _DataKey(checked["Plaintext"], made["CiphertextBlob"], until)
        return key

    async def _for_receiving(self, ctx: Context, queue: Queue, seal: Seal) -> bytes:
        held = self._of(ctx)
        name = (seal.wrapped, ctx.caller.arn)
        found = held.get(name)
        now = ctx.clock.now()
        if found is None or found.until <= now:
            answer = await _kms(
                ctx,
                "decrypt",
                {"CiphertextBlob": seal.wrapped, "EncryptionContext": _context(seal.queue)},
            )
            until = now + queue.kms_reuse
            found = held[name] = _DataKey(answer["Plaintext"], seal.wrapped, until)
        return found.plain

    def _of(self, ctx: Context) -> dict[tuple[Any, ...], _DataKey]:
        held = self._held.setdefault(ctx.kernel, {})
        if len(held) >= limits.DATA_KEYS_HELD_MAX:
            held.clear()
        return held


def _context(arn: str) -> dict[str, str]:
    return {"aws:sqs:arn": arn}


async def _kms(ctx: Context, method: str, req: Mapping[str, Any]) -> Any:
    try:
        return await ctx.via("sqs").call("kms", method, req)
    except AccessDenied as error:
        raise KmsAccessDenied(error.message) from error
    except AwsError as error:
        refusal = _REFUSALS.get(error.code)
        if refusal is None:
            raise
        raise refusal(error.message) from error
