"""GetDelegatedAccessToken: who was sent a token comes for the credentials that it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doppio.kernel.context import Context
from doppio.services.iam.ports import credentials, delegated, traded_in
from doppio.services.sts.errors import AccessDenied, ExpiredTradeInToken, ValidationError

if TYPE_CHECKING:
    from doppio._stubs import sts as w


class Delegated:
    """The operation for the requestors of delegation requests."""

    async def get_delegated_access_token(
        self, ctx: Context, req: w.GetDelegatedAccessTokenRequest
    ) -> w.GetDelegatedAccessTokenResponse:
        """Credentials of the identity that has approved a request, within the request's policy.

        They end when the session ends that began as the token was sent; until then there are as
        many of them as somebody asks for.
        """
        request = await traded_in(ctx, req["TradeInToken"])
        if request is None:
            raise ValidationError("The trade-in token is not valid.")
        if request.expires_at <= ctx.now:
            raise ExpiredTradeInToken()
        found = await delegated(ctx, request)
        if found is None:
            raise AccessDenied("The principal that approved the delegation request does not exist.")
        session, arn = found
        return {
            "Credentials": await credentials(ctx, session),  # type: ignore[typeddict-item]
            "AssumedPrincipal": arn,
        }
