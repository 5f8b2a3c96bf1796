"""What KMS stores. Key material lies under the cloud's root key, never in clear."""

from __future__ import annotations

from datetime import datetime

import msgspec

from doppio.kernel.records import Index, record

BY_GRANTEE: Index[Grant] = Index("grantee", ("key", "grantee"))
BY_RETIRING: Index[Grant] = Index("retiring", ("account", "region", "retiring"))
BY_KEY: Index[Alias] = Index("key", ("account", "region", "target"))


class Material(msgspec.Struct, frozen=True, array_like=True):
    """One generation of a key: the newest encrypts, all decrypt. `sealed` is under the root key."""

    id: str
    sealed: bytes
    made_at: datetime
    on_demand: bool = False


@record("kms.key", key=("account", "region", "id"))
class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key. `state` is as on the wire; `rotates_at` is the next yearly (or so) rotation.

    `grants` is how many it has: nobody looks for those of a key that has none.
    """

    account: str
    region: str
    id: str
    created_at: datetime
    materials: list[Material]
    partition: str = "aws"
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str = "ENCRYPT_DECRYPT"
    state: str = "Enabled"
    description: str = ""
    manager: str = "CUSTOMER"
    deletion_at: datetime | None = None
    rotation_days: int | None = None
    rotates_at: datetime | None = None
    public: bytes = b""
    policy: str = ""
    grants: int = 0
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:key/{self.id}"


@record("kms.alias", key=("account", "region", "name"), indexes=(BY_KEY,))
class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """Another name of a key; `name` begins with `alias/`."""

    account: str
    region: str
    name: str
    target: str
    created_at: datetime
    updated_at: datetime
    partition: str = "aws"

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:{self.name}"


@record("kms.grant", key=("key", "id"), indexes=(BY_GRANTEE, BY_RETIRING))
class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Leave to use a key, for one principal. `key` is its ARN, `account` and `region` are its.

    `grantee` and `retiring` are ARNs, or a service's name. `subset` and `equals` are what the
    encryption context must hold, or be; `source` is on whose behalf a service must come.
    """

    key: str
    id: str
    account: str
    region: str
    grantee: str
    operations: list[str]
    issuer: str
    created_at: datetime
    retiring: str | None = None
    name: str = ""
    subset: dict[str, str] | None = None
    equals: dict[str, str] | None = None
    source: str | None = None


@record("kms.root_key", key=("name",))
class RootKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key under which this cloud keeps all key material."""

    name: str
    key: bytes
