"""DecodeAuthorizationMessage: why somebody was refused, for those who may know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from doppio.kernel.context import Context
from doppio.kernel.encoded_denials import BadMessage, decoded_denial
from doppio.services.sts.errors import InvalidAuthorizationMessage

if TYPE_CHECKING:
    from doppio._stubs import sts as w


class Messages:
    """The operation on denials that were told in a message."""

    async def decode_authorization_message(
        self, ctx: Context, req: w.DecodeAuthorizationMessageRequest
    ) -> w.DecodeAuthorizationMessageResponse:
        """What a message says that a principal of the caller's account was given."""
        try:
            told = await decoded_denial(ctx, req["EncodedMessage"])
        except BadMessage as error:
            raise InvalidAuthorizationMessage() from error
        return {"DecodedMessage": json.dumps(told, separators=(",", ":"))}
