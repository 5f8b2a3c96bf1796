"""SAML providers: identity providers whose assertions an account believes.

STS judges the assertions themselves (AssumeRoleWithSAML). A provider may have private keys, under
which its assertions are encrypted; they are sealed, and no operation shows them.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from doppio.kernel import own_keys, tags
from doppio.kernel.context import Context, Reader
from doppio.services.iam import limits
from doppio.services.iam.common import new_tags, own_part, page
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
)
from doppio.services.iam.provider_records import SamlKey, SamlProvider
from doppio.services.iam.records import tags_to_wire
from doppio.services.iam.saml_metadata import BadMetadata, Metadata, key_hash, parsed_metadata

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

    from doppio._stubs import iam as w

KEYS = "iam/saml-providers"
# What describes a provider; its context is changed by itself.
_METADATA = (
    "SAMLMetadataDocument", "AssertionEncryptionMode", "AddPrivateKey", "RemovePrivateKey",
)  # fmt: skip


class SamlProviders:
    """The operations on SAML providers."""

    async def create_saml_provider(
        self, ctx: Context, req: w.CreateSAMLProviderRequest
    ) -> w.CreateSAMLProviderResponse:
        """Believe an identity provider, as its metadata describes it."""
        metadata = _metadata(ctx, req["SAMLMetadataDocument"])
        cipher = await own_keys.own_cipher(ctx, KEYS)
        key = _key(ctx, cipher, req["AddPrivateKey"]) if "AddPrivateKey" in req else None
        mode = req.get("AssertionEncryptionMode")
        provider = SamlProvider(
            account=ctx.account, name=req["Name"], id=ctx.new_id("base32-52")[:32],
            created_at=ctx.now, document=req["SAMLMetadataDocument"],
            entity_id=metadata.entity_id, certificates=metadata.certificates,
            valid_until=metadata.valid_until, keys=() if key is None else (key,),
            encryption=_checked_mode(mode, has_key=key is not None), tags=new_tags(req),
            context=given_context(req), partition=ctx.partition,
        )  # fmt: skip
        async with ctx.write() as tx:
            if await tx.get(SamlProvider, ctx.account, provider.name) is not None:
                raise EntityAlreadyExists(f"Provider with name {provider.name} already exists.")
            most = limits.SAML_PROVIDERS_MAX
            if len(await tx.list(SamlProvider, (ctx.account,), limit=most)) >= most:
                raise LimitExceeded(f"Cannot exceed quota for SAMLProvidersPerAccount: {most}")
            tx.put(provider)
        shown: dict[str, Any] = {"SAMLProviderArn": provider.arn}
        if provider.tags:
            shown["Tags"] = _sorted_tags(provider)
        return shown  # type: ignore[return-value]

    async def get_saml_provider(
        self, ctx: Context, req: w.GetSAMLProviderRequest
    ) -> w.GetSAMLProviderResponse:
        """The metadata of a provider, and the names of its private keys."""
        provider = await _existing(ctx.read(), ctx, req["SAMLProviderArn"])
        shown: dict[str, Any] = {
            "SAMLProviderUUID": provider.id,
            "SAMLMetadataDocument": provider.document,
            **_dates(provider),
            **context_to_wire(provider.context),
        }
        if provider.context is not None:
            hashes = [key_hash(one) for one in provider.certificates]
            shown["SAMLKeyHashes"] = [{"IssuerURL": provider.entity_id, "KeyHashes": hashes}]
        if provider.tags:
            shown["Tags"] = _sorted_tags(provider)
        if provider.encryption is not None:
            shown["AssertionEncryptionMode"] = provider.encryption
        if provider.keys:
            shown["PrivateKeyList"] = [
                {"KeyId": key.id, "Timestamp": key.added_at} for key in provider.keys
            ]
        return shown  # type: ignore[return-value]

    async def list_saml_providers(
        self, ctx: Context, req: w.ListSAMLProvidersRequest
    ) -> w.ListSAMLProvidersResponse:
        """The account's providers."""
        rows = await ctx.read().list(SamlProvider, (ctx.account,), limit=limits.SAML_PROVIDERS_MAX)
        listed = [{"Arn": row.arn, **_dates(row)} for row in rows]
        return {"SAMLProviderList": listed}  # type: ignore[typeddict-item]

    async def update_saml_provider(
        self, ctx: Context, req: w.UpdateSAMLProviderRequest
    ) -> w.UpdateSAMLProviderResponse:
        """Describe a provider anew, add or remove a private key, or ask for encryption."""
        if ("ContextProvider" in req or req.get("RemoveContextProvider")) and any(
            member in req for member in _METADATA
        ):
            raise InvalidInput(
                "A single request can change either the context provider or the provider "
                "metadata, but not both."
            )
        if "AddPrivateKey" in req and "RemovePrivateKey" in req:
            raise InvalidInput(
                "Unable to add and remove private keys in the same request. Only set one of the "
                "parameters."
            )
        document = req.get("SAMLMetadataDocument")
        metadata = None if document is None else _metadata(ctx, document)
        cipher = await own_keys.own_cipher(ctx, KEYS)
        added = _key(ctx, cipher, req["AddPrivateKey"]) if "AddPrivateKey" in req else None
        async with ctx.write() as tx:
            provider = await _existing(tx, ctx, req["SAMLProviderArn"])
            if metadata is not None and document is not None:
                provider = replace(
                    provider, document=document, entity_id=metadata.entity_id,
                    certificates=metadata.certificates, valid_until=metadata.valid_until,
                )  # fmt: skip
            provider = replace(provider, context=changed_context(provider.context, req))
            mode = req.get("AssertionEncryptionMode", provider.encryption)
            keys = _changed_keys(provider, added, req.get("RemovePrivateKey"), mode)
            mode = _checked_mode(mode, has_key=bool(keys))
            tx.put(replace(provider, keys=keys, encryption=mode))
        return {"SAMLProviderArn": provider.arn}

    async def delete_saml_provider(self, ctx: Context, req: w.DeleteSAMLProviderRequest) -> None:
        """Believe a provider no more; sessions that it has vouched for go on."""
        async with ctx.write() as tx:
            tx.delete(await _existing(tx, ctx, req["SAMLProviderArn"]))

    async def tag_saml_provider(self, ctx: Context, req: w.TagSAMLProviderRequest) -> None:
        """Put tags on a provider."""
        async with ctx.write() as tx:
            provider = await _existing(tx, ctx, req["SAMLProviderArn"])
            tx.put(replace(provider, tags=new_tags(req, provider.tags)))

    async def untag_saml_provider(self, ctx: Context, req: w.UntagSAMLProviderRequest) -> None:
        """Take tags off a provider."""
        async with ctx.write() as tx:
            provider = await _existing(tx, ctx, req["SAMLProviderArn"])
            tx.put(replace(provider, tags=tags.without(provider.tags, req["TagKeys"])))

    async def list_saml_provider_tags(
        self, ctx: Context, req: w.ListSAMLProviderTagsRequest
    ) -> w.ListSAMLProviderTagsResponse:
        """The tags of a provider."""
        provider = await _existing(ctx.read(), ctx, req["SAMLProviderArn"])
        rows = _sorted_tags(provider)
        return page(req, rows, "Tags", lambda row: row, f"tags/{provider.arn}")  # type: ignore[return-value]


def saml_provider_arn(partition: str, account: str, name: str) -> str:
    """The ARN of the provider of a name."""
    return f"arn:{partition}:iam::{account}:saml-provider/{name}"


async def saml_provider_of(reader: Reader, arn: str) -> SamlProvider | None:
    """The provider of an ARN."""
    account, _, name = own_part(reader, arn, "iam").partition(":saml-provider/")
    provider = await reader.get(SamlProvider, account, name)
    return provider if provider is not None and provider.arn == arn else None


async def opened_saml_keys(ctx: Context, provider: SamlProvider) -> list[rsa.RSAPrivateKey]:
    """The private keys under which a provider's assertions may be encrypted."""
    from cryptography.hazmat.primitives import (
        serialization,
    )  # Imported when somebody needs it: a start need not wait.
    from cryptography.hazmat.primitives.asymmetric import rsa

    cipher = await own_keys.own_cipher(ctx, KEYS)
    found = []
    for key in provider.keys:
        loaded = serialization.load_der_private_key(own_keys.unseal(cipher, key.sealed), None)
        assert isinstance(loaded, rsa.RSAPrivateKey), "no other is taken"
        found.append(loaded)
    return found


def _metadata(ctx: Context, document: str) -> Metadata:
    """The metadata; its times are the provider's, so they are judged by host time."""
    try:
        found = parsed_metadata(document)
    except BadMetadata as error:
        raise InvalidInput("Could not parse metadata") from error
    if found.valid_until is not None and found.valid_until <= ctx.clock.host_now():
        raise InvalidInput("The metadata document has expired")
    return found


def _key(ctx: Context, cipher: AESGCM, pem: str) -> SamlKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInput("Invalid private key") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise InvalidInput("Invalid private key")
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )  # fmt: skip
    return SamlKey(
        id=ctx.new_id("base32-52")[:32], added_at=ctx.now,
        sealed=own_keys.seal(ctx, cipher, plain),
    )  # fmt: skip


def _changed_keys(
    provider: SamlProvider, added: SamlKey | None, removed: str | None, mode: str | None
) -> tuple[SamlKey, ...]:
    if added is not None:
        if len(provider.keys) >= limits.SAML_KEYS_MAX:
            raise LimitExceeded(
                f"Cannot exceed quota for PrivateKeysPerSAMLProvider: {limits.SAML_KEYS_MAX}"
            )
        return (*provider.keys, added)
    if removed is None:
        return provider.keys
    left = tuple(key for key in provider.keys if key.id != removed)
    if len(left) == len(provider.keys):
        raise InvalidInput(
            "Failed to remove private key because the key ID does not match a private key"
        )
    if not left and mode == "Required":
        raise InvalidInput(
            "Failed to remove private key because assertion encryption mode is Required"
        )
    return left


def _checked_mode(mode: str | None, *, has_key: bool) -> str | None:
    if mode == "Required" and not has_key:
        raise InvalidInput(
            "Unable to set assertion encryption mode to Required because no private key is provided"
        )
    return mode


async def _existing(reader: Reader, ctx: Context, arn: str) -> SamlProvider:
    provider = await saml_provider_of(reader, arn)
    if provider is None or provider.account != ctx.account:
        raise NoSuchEntity(f"Manifest not found for arn {arn}")
    return provider


def _sorted_tags(provider: SamlProvider) -> list[dict[str, str]]:
    return tags_to_wire(dict(sorted(provider.tags.items())))


def _dates(provider: SamlProvider) -> dict[str, datetime]:
    """Since when, and until when: metadata that says nothing counts for a hundred years."""
    made = provider.created_at
    forever = made.replace(year=made.year + 100, day=min(made.day, 28))
    return {"CreateDate": made, "ValidUntil": provider.valid_until or forever}
