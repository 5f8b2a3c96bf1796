"""OpenID Connect providers: issuers of identity tokens whom an account believes.

STS asks the provider for its keys when somebody comes with a token (AssumeRoleWithWebIdentity).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.iam import limits
from doppio.services.iam.common import new_tags, page
from doppio.services.iam.context_providers import (
    changed_context,
    context_to_wire,
    given_context,
)
from doppio.services.iam.errors import (
    EntityAlreadyExists,
    InvalidInput,
    LimitExceeded,
    NoSuchEntity,
    ValidationError,
)
from doppio.services.iam.provider_records import OidcProvider
from doppio.services.iam.records import tags_to_wire

if TYPE_CHECKING:
    from doppio._stubs import iam as w

_THUMBPRINT = re.compile(r"[0-9a-fA-F]{40}")


class OidcProviders:
    """The operations on OpenID Connect providers."""

    async def create_open_id_connect_provider(
        self, ctx: Context, req: w.CreateOpenIDConnectProviderRequest
    ) -> w.CreateOpenIDConnectProviderResponse:
        """Believe an issuer, for these clients."""
        url = _checked_url(req["Url"])
        provider = OidcProvider(
            account=ctx.account, url=url, created_at=ctx.now,
            client_ids=_client_ids(req.get("ClientIDList", ())),
            thumbprints=_thumbprints(req.get("ThumbprintList", ())), tags=new_tags(req),
            context=given_context(req), partition=ctx.partition,
        )  # fmt: skip
        async with ctx.write() as tx:
            if await tx.get(OidcProvider, ctx.account, url) is not None:
                raise EntityAlreadyExists(f"Provider with url {req['Url']} already exists.")
            most = limits.OIDC_PROVIDERS_MAX
            if len(await tx.list(OidcProvider, (ctx.account,), limit=most)) >= most:
                raise LimitExceeded(
                    f"Cannot exceed quota for OpenIdConnectProvidersPerAccount: {most}"
                )
            tx.put(provider)
        shown: dict[str, Any] = {"OpenIDConnectProviderArn": provider.arn}
        if provider.tags:
            shown["Tags"] = tags_to_wire(provider.tags)
        return shown  # type: ignore[return-value]

    async def get_open_id_connect_provider(
        self, ctx: Context, req: w.GetOpenIDConnectProviderRequest
    ) -> w.GetOpenIDConnectProviderResponse:
        """What an account knows of an issuer."""
        provider = await _existing(ctx.read(), ctx, req["OpenIDConnectProviderArn"])
        shown: dict[str, Any] = {
            "Url": provider.url,
            "ClientIDList": list(provider.client_ids),
            "ThumbprintList": list(provider.thumbprints),
            "CreateDate": provider.created_at,
            **context_to_wire(provider.context),
        }
        if provider.tags:
            shown["Tags"] = tags_to_wire(provider.tags)
        return shown  # type: ignore[return-value]

    async def list_open_id_connect_providers(
        self, ctx: Context, req: w.ListOpenIDConnectProvidersRequest
    ) -> w.ListOpenIDConnectProvidersResponse:
        """The account's providers."""
        rows = await ctx.read().list(OidcProvider, (ctx.account,), limit=limits.OIDC_PROVIDERS_MAX)
        return {"OpenIDConnectProviderList": [{"Arn": row.arn} for row in rows]}

    async def delete_open_id_connect_provider(
        self, ctx: Context, req: w.DeleteOpenIDConnectProviderRequest
    ) -> None:
        """Believe an issuer no more; sessions that it has vouched for go on."""
        async with ctx.write() as tx:
            tx.delete(await _existing(tx, ctx, req["OpenIDConnectProviderArn"]))

    async def update_open_id_connect_provider(
        self, ctx: Context, req: w.UpdateOpenIDConnectProviderRequest
    ) -> None:
        """Say anew, or no more, which claims of the issuer's become a session's context."""
        async with ctx.write() as tx:
            provider = await _existing(tx, ctx, req["OpenIDConnectProviderArn"])
            tx.put(replace(provider, context=changed_context(provider.context, req)))

    async def update_open_id_connect_provider_thumbprint(
        self, ctx: Context, req: w.UpdateOpenIDConnectProviderThumbprintRequest
    ) -> None:
        """Name the certificates of an issuer anew."""
        thumbprints = _thumbprints(req["ThumbprintList"])
        async with ctx.write() as tx:
            provider = await _existing(tx, ctx, req["OpenIDConnectProviderArn"])
            tx.put(replace(provider, thumbprints=thumbprints))

    async def add_client_id_to_open_id_connect_provider(
        self, ctx: Context, req: w.AddClientIDToOpenIDConnectProviderRequest
    ) -> None:
        """Take tokens for one more client; one that is there already is no error."""
        async with ctx.write() as tx:
            provider = await _existing(tx, ctx, req["OpenIDConnectProviderArn"])
            both = dict.fromkeys((*provider.client_ids, req["ClientID"]))
            tx.put(replace(provider, client_ids=_client_ids(both)))

    async def remove_client_id_from_open_id_connect_provider(
        self, ctx: Context, req: w.RemoveClientIDFromOpenIDConnectProviderRequest
    ) -> None:
        """Take no tokens for a client any more; one that is not there is no error."""
        async with ctx.write() as tx:
            provider = await _existing(tx, ctx, req["OpenIDConnectProviderArn"])
            left = tuple(one for one in provider.client_ids if one != req["ClientID"])
            tx.put(replace(provider, client_ids=left))

    async def tag_open_id_connect_provider(
        self, ctx: Context, req: w.TagOpenIDConnectProviderRequest
    ) -> None:
        """Put tags on a provider."""
        async with ctx.write() as tx:
            provider = await _existing(tx, ctx, req["OpenIDConnectProviderArn"])
            tx.put(replace(provider, tags=new_tags(req, provider.tags)))

    async def untag_open_id_connect_provider(
        self, ctx: Context, req: w.UntagOpenIDConnectProviderRequest
    ) -> None:
        """Take tags off a provider."""
        async with ctx.write() as tx:
            provider = await _existing(tx, ctx, req["OpenIDConnectProviderArn"])
            tx.put(replace(provider, tags=tags.without(provider.tags, req["TagKeys"])))

    async def list_open_id_connect_provider_tags(
        self, ctx: Context, req: w.ListOpenIDConnectProviderTagsRequest
    ) -> w.ListOpenIDConnectProviderTagsResponse:
        """The tags of a provider."""
        provider = await _existing(ctx.read(), ctx, req["OpenIDConnectProviderArn"])
        rows = tags_to_wire(provider.tags)
        return page(req, rows, "Tags", lambda row: row, f"tags/{provider.arn}")  # type: ignore[return-value]


def provider_arn(partition: str, account: str, url: str) -> str:
    """The ARN of the provider of a URL."""
    return f"arn:{partition}:iam::{account}:oidc-provider/{url.partition('://')[2] or url}"


async def provider_of(reader: Reader, account: str, arn: str) -> OidcProvider | None:
    """The provider of an ARN, which is the account's."""
    return await reader.get(OidcProvider, account, arn.partition(":oidc-provider/")[2])


async def _existing(reader: Reader, ctx: Context, arn: str) -> OidcProvider:
    provider = await provider_of(reader, ctx.account, arn)
    if provider is None or provider.arn != arn:
        raise NoSuchEntity(f"OpenIDConnect Provider not found for arn {arn}")
    return provider


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment:
        raise ValidationError("Invalid Open ID Connect Provider URL")
    return (parts.netloc + parts.path).rstrip("/")


def _client_ids(given: Any) -> tuple[str, ...]:
    if len(given) > limits.OIDC_CLIENT_IDS_MAX:
        raise LimitExceeded(
            f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: "
            f"{limits.OIDC_CLIENT_IDS_MAX}"
        )
    return tuple(given)


def _thumbprints(given: Any) -> tuple[str, ...]:
    if len(given) > limits.OIDC_THUMBPRINTS_MAX:
        raise InvalidInput("Thumbprint list must contain fewer than 5 entries.")
    for one in given:
        if not _THUMBPRINT.fullmatch(one):
            raise InvalidInput("Thumbprint must be a 40-character hexadecimal SHA-1 hash.")
    return tuple(one.lower() for one in given)
