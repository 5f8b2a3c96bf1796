"""What KMS stores. Key material lies under the cloud's root key, never in clear."""

from __future__ import annotations

from datetime import datetime

import msgspec

from doppio.kernel.records import Index, record

BY_GRANTEE: Index[Grant] = Index("grantee", ("key", "grantee"))
BY_RETIRING: Index[Grant] = Index("retiring", ("account", "region", "retiring"))
BY_KEY: Index[Alias] = Index("key", ("account", "region", "target"))


class Material(msgspec.Struct, frozen=True, array_like=True):
    """One generation of a key: the newest encrypts, all decrypt. `sealed` is under the root key.

    The id follows from the key's id and the material, so the same material is known again. Imported
    material may be gone for a while: `sealed` is empty then.
    """

    id: str
    sealed: bytes
    made_at: datetime
    on_demand: bool = False
    description: str = ""
    expires_at: datetime | None = None


@record("kms.key", key=("account", "region", "id"))
class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key. `state` is as on the wire; `rotates_at` is the next yearly (or so) rotation.

    `grants` is how many it has: nobody looks for those of a key that has none. `busy` is the state
    that a key is in for a few seconds. `pending` is imported material that waits for a rotation.
    `primary` is the Region of a multi-Region key's primary, `replicas` are those of its replicas:
    every key of the set has them, and they change in one commit. `window_days` is how long a
    primary waits once its replicas are gone. `store` is the custom key store that holds it, and
    `xks_key` what it is called there.
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
    origin: str = "AWS_KMS"
    busy: str = ""
    pending: Material | None = None
    primary: str = ""
    replicas: list[str] = []
    window_days: int | None = None
    store: str = ""
    xks_key: str = ""

    @property
    def arn(self) -> str:
        return self.arn_in(self.region)

    @property
    def is_replica(self) -> bool:
        return self.primary not in {"", self.region}

    def arn_in(self, region: str) -> str:
        """What a multi-Region key is called elsewhere."""
        return f"arn:{self.partition}:kms:{region}:{self.account}:key/{self.id}"


@record("kms.key_store", key=("account", "region", "id"))
class KeyStore(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An external key store. `secret` signs requests to its proxy, and lies under the root key.

    `state` and `error` are as on the wire.
    """

    account: str
    region: str
    id: str
    name: str
    created_at: datetime
    endpoint: str
    path: str
    access_key: str
    secret: bytes
    state: str = "DISCONNECTED"
    error: str = ""


@record("kms.external_key", key=("account", "region", "store", "name"))
class ExternalKey(msgspec.Struct, frozen=True, kw_only=True):
    """Which KMS key an external key is for."""

    account: str
    region: str
    store: str
    name: str
    key: str


@record("kms.last_use", key=("account", "region", "key"))
class LastUse(msgspec.Struct, frozen=True, kw_only=True):
    """For what a key was used last, when, and in which call."""

    account: str
    region: str
    key: str
    operation: str
    at: datetime
    request_id: str


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
