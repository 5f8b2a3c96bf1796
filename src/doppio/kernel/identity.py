"""Who calls: callers, their credentials, and the port by which IAM tells us of both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, Protocol

Kind = Literal["root", "user", "assumed-role", "federated-user", "service", "anonymous"]


@dataclass(slots=True, frozen=True)
class Caller:
    """One principal.

    `arn` is the caller's as GetCallerIdentity shows it. `id` is the unique id (`AIDA…`,
    `AROA…:session`, the account id for root, the service name for a service). `policies` is what
    the policy engine compiled for it (`kernel.policy`), opaque here. `session` holds what the
    session brings as condition keys (lower case, e.g. `aws:multifactorauthpresent`).
    `source` is the ARN on whose behalf a service calls.
    """

    account: str
    arn: str
    id: str
    kind: Kind
    access_key: str | None = None
    policies: Any = None
    session: Mapping[str, Any] = field(default_factory=dict)
    source: str | None = None


@dataclass(slots=True, frozen=True)
class Credential:
    """An access key that may sign: its secret, whose it is, and until when (cloud time)."""

    access_key: str
    secret: str
    caller: Caller
    expires_at: datetime | None = None


# In a caller's session, under names that no condition key of AWS's has: the session token that it
# came with, what S3 has bound the session to (a directory bucket, a mode, an encryption), whether it
# counts in the Regions alone that every account has, and whether it came by STS's global endpoint.
TOKEN = "doppio:sessiontoken"
EXPRESS = "doppio:s3express"
DEFAULT_REGIONS_ALONE = "doppio:defaultregions"
BY_GLOBAL_ENDPOINT = "doppio:globalendpoint"
# The session is the console's, which may ask IAM without MFA.
SIGNED_IN = "doppio:signedin"
# And the ARN of the role or user whose session it is, with the path that a session's ARN has not.
ISSUER = "doppio:issuer"


class Signed(Protocol):
    """What a signature says of itself. `posted`: it stood in a form."""

    @property
    def algorithm(self) -> str: ...
    @property
    def timestamp(self) -> datetime | None: ...
    @property
    def posted(self) -> bool: ...
    @property
    def presigned(self) -> bool: ...
    @property
    def content_sha256(self) -> str | None: ...


ANONYMOUS = Caller(account="anonymous", arn="anonymous", id="anonymous", kind="anonymous")


def principal_arn(caller: Caller) -> str:
    """A caller as policies and grants name it: a session counts as its role."""
    if caller.kind != "assumed-role":
        return caller.arn
    return str(caller.session.get(ISSUER) or role_of(caller.arn))


def role_of(arn: str) -> str:
    """The role of a session's ARN, as far as that tells; any other ARN as it is."""
    if ":assumed-role/" not in arn:
        return arn
    head, _, rest = arn.partition(":assumed-role/")
    return f"{head.replace(':sts:', ':iam:')}:role/{rest.partition('/')[0]}"


# What AWS calls everybody who does not sign.
_NOBODY = "65a011a29cdf8ec533ec3d1ccaae921c"


@lru_cache(4096)
def canonical_user(account: str) -> str:
    """The canonical user id of an account: 64 hexadecimal digits that follow from it."""
    if account == ANONYMOUS.account:
        return _NOBODY
    return hashlib.sha256(f"canonical-user/{account}".encode()).hexdigest()


def root_of(account: str, access_key: str | None = None, *, partition: str = "aws") -> Caller:
    """The root user of an account."""
    return Caller(
        account=account,
        arn=f"arn:{partition}:iam::{account}:root",
        id=account,
        kind="root",
        access_key=access_key,
    )


@lru_cache(4096)
def service_caller(service: str, account: str, source: str | None = None) -> Caller:
    """A service as principal, acting for a resource of `account`."""
    name = f"{service}.amazonaws.com"
    return Caller(account=account, arn=name, id=name, kind="service", source=source)


class Identities(Protocol):
    """The port that IAM provides: from an access key to who that is."""

    def known(self, named: tuple[str, str | None, str]) -> Credential | None:
        """The credential of an access key, a token and a partition, where it is at hand and has
        not expired."""
        ...

    async def credential(
        self, access_key: str, token: str | None, partition: str = "aws"
    ) -> Credential:
        """The credential of an access key, or AWS's error (InvalidClientTokenId, ExpiredToken).

        A key counts in one partition: where the call is.
        """
        ...

    async def acting(self, context: Any, arn: str, service: str, session: str) -> Caller:
        """The session of a role as which a service acts, or AccessDenied where that may not be.

        `context` is the service's own (`Context.as_service`): the role's trust policy must let
        that principal in.
        """
        ...

    async def start(self) -> None:
        """Get ready, before the first request."""
        ...

    async def root_key(self, account: str, partition: str = "aws") -> tuple[str, str]:
        """The root user's access key and secret, made if there is none."""
        ...
