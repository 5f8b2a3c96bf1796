"""Outbound federation: whether STS vouches for an account's principals to the world outside.

What an account's issuer shows to anybody, its keys above all, is below its URL; STS serves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader
from doppio.kernel.regions import HOMES
from doppio.services.iam.errors import FeatureDisabled, FeatureEnabled
from doppio.services.iam.provider_records import ISSUERS, OutboundFederation

if TYPE_CHECKING:
    from doppio._stubs import iam as w

# STS's pages of issuers, below the cloud's own address.
ISSUERS_PAGE = "sts/issuers/"


class OutboundFederations:
    """The operations on outbound federation."""

    async def enable_outbound_web_identity_federation(
        self, ctx: Context, req: Any
    ) -> w.EnableOutboundWebIdentityFederationResponse:
        """Let the account's principals ask for identity tokens; a former issuer is the same again."""
        async with ctx.write() as tx:
            old = await tx.get(OutboundFederation, ctx.account)
            if old is not None and old.enabled:
                raise FeatureEnabled()
            issuer = ctx.new_id() if old is None else old.issuer
            now = OutboundFederation(account=ctx.account, issuer=issuer, enabled=True)
            tx.put(now)
        return {"IssuerIdentifier": issuer_url(ctx, now)}

    async def disable_outbound_web_identity_federation(self, ctx: Context, req: Any) -> None:
        """Let nobody ask for tokens any more; those that are out count until they expire."""
        async with ctx.write() as tx:
            old = await tx.get(OutboundFederation, ctx.account)
            if old is None or not old.enabled:
                raise FeatureDisabled()
            tx.put(replace(old, enabled=False))

    async def get_outbound_web_identity_federation_info(
        self, ctx: Context, req: Any
    ) -> w.GetOutboundWebIdentityFederationInfoResponse:
        """The account's issuer."""
        found = await ctx.read().get(OutboundFederation, ctx.account)
        if found is None or not found.enabled:
            raise FeatureDisabled()
        return {"IssuerIdentifier": issuer_url(ctx, found), "JwtVendingEnabled": True}


def issuer_url(ctx: Context, federation: OutboundFederation) -> str:
    """The URL of an account's issuer, below which this cloud shows its keys."""
    return f"{ctx.kernel.endpoint}/_aws/{ISSUERS_PAGE}{federation.issuer}"


async def federation_of(reader: Reader, account: str) -> OutboundFederation | None:
    """An account's outbound federation, where it is on."""
    found = await reader.get(OutboundFederation, account)
    return found if found is not None and found.enabled else None


async def issuer_of(ctx: Context, issuer: str) -> OutboundFederation | None:
    """Whose an issuer is, in whichever partition; also one that vouches for nobody any more."""
    for home in HOMES.values():
        there = ctx.derive(ctx.caller, region=home).read()
        found = await there.find(ISSUERS, (issuer,), limit=1)
        if found:
            return found[0]
    return None
