"""What IAM stores of identities of elsewhere: providers that are believed, and tokens for the outside."""

from __future__ import annotations

from datetime import datetime

import msgspec

from doppio.kernel.records import Index, record


class ContextProvider(msgspec.Struct, frozen=True, kw_only=True):
    """Which claims of a provider's become a session's context: `keys` are pairs of source and target."""

    subject: str
    subject_type: str | None = None
    subject_type_key: str | None = None
    keys: tuple[tuple[str, str], ...] = ()


@record("iam.oidc_provider", key=("account", "url"), partitioned=True)
class OidcProvider(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer of identity tokens whom an account believes. `url` is without its scheme."""

    account: str
    url: str
    created_at: datetime
    client_ids: tuple[str, ...] = ()
    thumbprints: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    context: ContextProvider | None = None
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """The provider's ARN."""
        return f"arn:{self.partition}:iam::{self.account}:oidc-provider/{self.url}"


ISSUERS: Index[OutboundFederation] = Index("issuer", ("issuer",))


@record("iam.outbound_federation", key=("account",), indexes=(ISSUERS,), partitioned=True)
class OutboundFederation(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an account's principals may have identity tokens; `issuer` stays as it was once made."""

    account: str
    issuer: str
    enabled: bool


class SamlKey(msgspec.Struct, frozen=True, kw_only=True):
    """A private key of a SAML provider's, sealed under the cloud's own."""

    id: str
    added_at: datetime
    sealed: bytes


@record("iam.saml_provider", key=("account", "name"), partitioned=True)
class SamlProvider(msgspec.Struct, frozen=True, kw_only=True):
    """An identity provider whose assertions an account believes.

    `entity_id`, `certificates` (DER) and `valid_until` are what its metadata says.
    """

    account: str
    name: str
    id: str
    created_at: datetime
    document: str
    entity_id: str
    certificates: tuple[bytes, ...]
    valid_until: datetime | None = None
    encryption: str | None = None
    keys: tuple[SamlKey, ...] = ()
    tags: dict[str, str] = {}
    context: ContextProvider | None = None
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """The provider's ARN."""
        return f"arn:{self.partition}:iam::{self.account}:saml-provider/{self.name}"
