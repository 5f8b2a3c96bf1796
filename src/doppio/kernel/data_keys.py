"""Data keys of KMS that a service seals messages with, and may use again for a while.

KMS is asked as the caller, for whom the service speaks, so who may not use the key is refused. A
data key is used again for a reuse period, for the same caller alone; it is held in memory, and
after a restart KMS is asked once more.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from doppio.kernel.context import Context
from doppio.wire.errors import AccessDenied, AwsError

# Beyond so many, all are forgotten and asked for anew.
HELD_MAX = 10_000


class DataKey(NamedTuple):
    """A data key in clear, and as KMS wrapped it."""

    plain: bytes
    wrapped: bytes
    until: datetime


class DataKeys:
    """The data keys of one service.

    `refusals` are the service's own errors by KMS's codes; AccessDeniedException is among them.
    `sealers_open`: whoever seals must be allowed to open, too.
    """

    def __init__(
        self,
        service: str,
        refusals: Mapping[str, type[AwsError]],
        *,
        sealers_open: bool = True,
    ) -> None:
        self._service = service
        self._sealers_open = sealers_open
        self._refusals = refusals
        self._held: WeakKeyDictionary[Any, dict[Hashable, DataKey]] = WeakKeyDictionary()

    async def for_sealing(
        self, ctx: Context, of: str, key_id: str, context: Mapping[str, str], reuse: timedelta
    ) -> DataKey:
        """A data key of a KMS key, for what `of` names."""
        held = self._of(ctx)
        name = (of, key_id, ctx.caller.arn)
        found = held.get(name)
        if found is not None and found.until > ctx.now:
            return found
        asked = {"KeyId": key_id, "KeySpec": "AES_256", "EncryptionContext": context}
        made = await self._kms(ctx, "generate_data_key", asked)
        blob = made["CiphertextBlob"]
        if self._sealers_open:
            asked = {"CiphertextBlob": blob, "EncryptionContext": context}
            made = await self._kms(ctx, "decrypt", asked)
        key = held[name] = DataKey(made["Plaintext"], blob, ctx.now + reuse)
        return key

    async def for_opening(
        self, ctx: Context, wrapped: bytes, context: Mapping[str, str], reuse: timedelta
    ) -> bytes:
        """A data key in clear again."""
        held = self._of(ctx)
        name = (wrapped, ctx.caller.arn)
        found = held.get(name)
        now = ctx.clock.now()
        if found is None or found.until <= now:
            asked = {"CiphertextBlob": wrapped, "EncryptionContext": context}
            answer = await self._kms(ctx, "decrypt", asked)
            found = held[name] = DataKey(answer["Plaintext"], wrapped, now + reuse)
        return found.plain

    def _of(self, ctx: Context) -> dict[Hashable, DataKey]:
        held = self._held.setdefault(ctx.kernel, {})
        if len(held) >= HELD_MAX:
            held.clear()
        return held

    async def _kms(self, ctx: Context, method: str, req: Mapping[str, Any]) -> Any:
        try:
            return await ctx.via(self._service).call("kms", method, req)
        except AwsError as error:
            code = AccessDenied.code if isinstance(error, AccessDenied) else error.code
            refusal = self._refusals.get(code)
            if refusal is None:
                raise
            raise refusal(error.message) from error
