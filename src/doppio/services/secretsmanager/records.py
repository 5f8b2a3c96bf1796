"""What Secrets Manager stores. Values lie sealed under data keys of KMS, never in clear."""

from __future__ import annotations

from datetime import datetime

import msgspec

from doppio.kernel.records import record


@record("secretsmanager.secret", key=("account", "region", "name"))
class Secret(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A secret. `stages` says which version each label is on.

    `suffix` are the six characters behind the name in its ARN. `key` is the KMS key as it was
    named; empty is AWS's own. `purged_at` is set while it waits for its deletion.
    """

    account: str
    region: str
    name: str
    suffix: str
    created_at: datetime
    changed_at: datetime
    partition: str = "aws"
    accessed_on: datetime | None = None
    deleted_at: datetime | None = None
    purged_at: datetime | None = None
    description: str = ""
    key: str = ""
    kind: str = ""
    policy: str | None = None
    stages: dict[str, str] = {}
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return (
            f"arn:{self.partition}:secretsmanager:{self.region}:{self.account}:secret:"
            f"{self.name}-{self.suffix}"
        )


@record("secretsmanager.version", key=("secret", "id"))
class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version of a secret's value. `secret` is the ARN.

    `sealed` is nonce and AES-GCM ciphertext under a data key, which `wrapped` holds under the KMS
    key `key`. `proof` tells whether a request that comes again brings the same value.
    """

    secret: str
    id: str
    created_at: datetime
    binary: bool
    sealed: bytes
    wrapped: bytes
    key: str
    proof: bytes
