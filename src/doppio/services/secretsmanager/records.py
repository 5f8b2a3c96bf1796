"""What Secrets Manager stores. Values lie sealed under data keys of KMS, never in clear."""

from __future__ import annotations

from datetime import datetime

import msgspec

from doppio.kernel.records import record

# The labels that Secrets Manager moves itself.
CURRENT, PREVIOUS, PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"


class Replica(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A replica as its primary knows it. `key` is the KMS key as it was named, empty: AWS's own.

    `role` is as whom values are copied, empty: as who changes the primary.
    """

    account: str
    region: str
    name: str
    arn: str
    key: str = ""
    role: str = ""
    status: str = "InSync"
    message: str = ""


class Rotation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a secret rotates: by which function, by which rules, and how far it is.

    The next rotation may begin at `opens_at` and is to be over at `closes_at`. `token` is the
    version that a rotation under way makes; `tries` have failed so far.
    """

    function: str
    rules: dict[str, int | str] = {}
    enabled: bool = True
    rotated_at: datetime | None = None
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    token: str = ""
    tries: int = 0


@record("secretsmanager.secret", key=("account", "region", "name"))
class Secret(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A secret. `stages` says which version each label is on.

    `suffix` are the six characters behind the name in its ARN. `key` is the KMS key as it was
    named; empty is AWS's own. `purged_at` is set while it waits for its deletion. `primary` is the
    ARN of which it is a replica, and `status` how that goes.
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
    replicas: list[Replica] = []
    primary: str = ""
    status: str = ""
    rotation: Rotation | None = None

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
