"""What IAM stores. IAM is global in its partition: nothing here has a Region.

What a user, group or role holds (`Inline`, `Attachment`) is in records of its own, named by the
holder's kind and name, so that the three share their operations.

Names that differ in case alone cannot be there together: the key of a named thing is its name in
small letters, `folded`.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from doppio.kernel.records import Index, record

BY_USER: Index[AccessKey] = Index("user", ("account", "user"))
OF_USER: Index[Membership] = Index("user", ("account", "user"))
DEVICES_OF: Index[MfaDevice] = Index("user", ("account", "user"))
BY_POLICY: Index[Attachment] = Index("policy", ("account", "policy"))
BY_BOUNDARY_USER: Index[User] = Index("boundary", ("account", "boundary"))
BY_BOUNDARY_ROLE: Index[Role] = Index("boundary", ("account", "boundary"))


# Below it lie the roles that are services' own.
LINKED_PATH = "/aws-service-role/"


def arn_of(partition: str, account: str, kind: str, path: str, name: str) -> str:
    """The ARN of a named thing."""
    return f"arn:{partition}:iam::{account}:{kind}{path}{name}"


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What everything with a name and a path has; `TYPE` is its word in ARNs."""

    TYPE: ClassVar[str]

    account: str
    name: str
    id: str
    path: str
    created_at: datetime
    partition: str = "aws"

    @property
    def folded(self) -> str:
        """The name as it is in keys."""
        return self.name.lower()

    @property
    def arn(self) -> str:
        """Its ARN: the path is part of it."""
        return arn_of(self.partition, self.account, self.TYPE, self.path, self.name)


@record("iam.user", key=("account", "folded"), indexes=(BY_BOUNDARY_USER,), partitioned=True)
class User(Named, frozen=True, kw_only=True):
    """A user."""

    TYPE = "user"

    boundary: str | None = None
    tags: dict[str, str] = {}


@record("iam.group", key=("account", "folded"), partitioned=True)
class Group(Named, frozen=True, kw_only=True):
    """A group of users."""

    TYPE = "group"


@record("iam.role", key=("account", "folded"), indexes=(BY_BOUNDARY_ROLE,), partitioned=True)
class Role(Named, frozen=True, kw_only=True):
    """A role, and whom it trusts: the ARNs in its policy stand for the unique ids in `bound`."""

    TYPE = "role"

    trust: str
    bound: dict[str, str] = {}
    description: str | None = None
    session_seconds_max: int = 3_600
    boundary: str | None = None
    tags: dict[str, str] = {}

    @property
    def linked(self) -> bool:
        """Whether it is a service's own, which nobody but the service changes."""
        return self.path.startswith(LINKED_PATH)


class Version(msgspec.Struct, frozen=True):
    """One version of a managed policy."""

    id: str
    document: str
    created_at: datetime


@record("iam.policy", key=("account", "folded"), partitioned=True)
class ManagedPolicy(Named, frozen=True, kw_only=True):
    """A customer managed policy."""

    TYPE = "policy"

    updated_at: datetime
    default: str
    versions: tuple[Version, ...]
    last_version: int = 1
    description: str | None = None
    tags: dict[str, str] = {}

    def version(self, version_id: str) -> Version | None:
        """The version of this id."""
        return next((one for one in self.versions if one.id == version_id), None)


@record("iam.inline", key=("account", "kind", "holder", "name"), partitioned=True)
class Inline(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that is part of a user, group or role."""

    account: str
    kind: str
    holder: str
    name: str
    document: str


@record(
    "iam.attachment", key=("account", "kind", "holder", "policy"), indexes=(BY_POLICY,), partitioned=True
)  # fmt: skip
class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A managed policy (its ARN) on a user, group or role."""

    account: str
    kind: str
    holder: str
    policy: str


@record("iam.membership", key=("account", "group", "user"), indexes=(OF_USER,), partitioned=True)
class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A user in a group."""

    account: str
    group: str
    user: str


@record("iam.access_key", key=("id",), indexes=(BY_USER,), partitioned=True)
class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """An access key; the root user's have an empty `user`."""

    id: str
    account: str
    user: str
    secret: str
    created_at: datetime
    active: bool = True


@record("iam.deletion_task", key=("account", "role", "id"), partitioned=True)
class DeletionTask(msgspec.Struct, frozen=True, kw_only=True):
    """The deletion of a service's role, `role`: `id` is how it is shown.

    `status` is `IN_PROGRESS` until it has `SUCCEEDED` or `FAILED`; then `usage` says who still uses
    the role, by Region.
    """

    account: str
    role: str
    id: str
    started_at: datetime
    status: str = "IN_PROGRESS"
    reason: str = ""
    usage: dict[str, list[str]] = {}


@record("iam.instance_profile", key=("account", "folded"), partitioned=True)
class InstanceProfile(Named, frozen=True, kw_only=True):
    """What hands a role to an instance."""

    TYPE = "instance-profile"

    roles: tuple[str, ...] = ()
    tags: dict[str, str] = {}


@record("iam.server_certificate", key=("account", "folded"), partitioned=True)
class ServerCertificate(Named, frozen=True, kw_only=True):
    """A certificate for a server, with its private key, sealed under the cloud's own."""

    TYPE = "server-certificate"

    body: str
    sealed_key: bytes
    expires_at: datetime
    chain: str | None = None
    tags: dict[str, str] = {}


@record("iam.mfa_device", key=("account", "folded"), indexes=(DEVICES_OF,), partitioned=True)
class MfaDevice(Named, frozen=True, kw_only=True):
    """A virtual MFA device; nobody's until it is enabled for a user.

    Its clock is `drift_steps` before ours, and `used_step` is the last step whose code has counted.
    """

    TYPE = "mfa"

    seed: bytes
    user: str | None = None
    enabled_at: datetime | None = None
    drift_steps: int = 0
    used_step: int = 0
    tags: dict[str, str] = {}


@record("iam.login_profile", key=("account", "user"), partitioned=True)
class LoginProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A user's password, as a salted scrypt hash. Its salt stays, so that old ones are known again."""

    account: str
    user: str
    created_at: datetime
    salt: bytes
    hash: bytes
    reset_required: bool = False
    set_at: datetime | None = None
    used_at: datetime | None = None
    # How long the sessions last that it opens, where that was said.
    sign_in_seconds: int | None = None
    # Hashes of those before, the latest first, under the same salt.
    before: tuple[bytes, ...] = ()

    @property
    def changed_at(self) -> datetime:
        """Since when the password is this one."""
        return self.set_at or self.created_at


@record("iam.credential_report", key=("account",), partitioned=True)
class CredentialReport(msgspec.Struct, frozen=True, kw_only=True):
    """An account's credential report; without content until it is made."""

    account: str
    at: datetime
    content: bytes | None = None


@record("iam.password_policy", key=("account",), partitioned=True)
class PasswordPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What an account's passwords must be; a zero asks for nothing."""

    account: str
    chars_min: int = 6
    symbols: bool = False
    numbers: bool = False
    uppercase: bool = False
    lowercase: bool = False
    users_may_change: bool = False
    age_days_max: int = 0
    remembered: int = 0
    hard_expiry: bool | None = None


@record("iam.access_report", key=("account", "id"), partitioned=True)
class AccessReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report on what somebody's policies allow and what of it was used: whose, and how exactly."""

    account: str
    id: str
    at: datetime
    arn: str
    actions: bool


@record("iam.belonging", key=("account", "user", "kind", "id"), partitioned=True)
class Belonging(msgspec.Struct, frozen=True, kw_only=True):
    """What a user keeps in IAM for other services: `ssh-key`, `certificate` or `service`.

    `body` is the key or certificate, or the service's password; `service` names the service and
    `service_user` is the user's name there.
    """

    account: str
    user: str
    kind: str
    id: str
    created_at: datetime
    body: str
    active: bool = True
    service: str = ""
    service_user: str = ""


@record("iam.alias", key=("alias",), partitioned=True)
class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """An account's alias: unique in the partition."""

    alias: str
    account: str


@record("iam.token_preference", key=("account",), partitioned=True)
class TokenPreference(msgspec.Struct, frozen=True, kw_only=True):
    """Which tokens STS's global endpoint gives to an account: version 1 is the default."""

    account: str
    version: int = 1


@record("iam.account_alias", key=("account",), partitioned=True)
class AccountAlias(msgspec.Struct, frozen=True, kw_only=True):
    """The alias of an account."""

    account: str
    alias: str


@record("iam.sealing_key", key=("name",))
class SealingKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key that seals session tokens, made at the first start, when all accounts began to be."""

    name: str
    key: bytes
    made_at: datetime | None = None


@record("iam.founded", key=("account",), partitioned=True)
class Founded(msgspec.Struct, frozen=True, kw_only=True):
    """When an account was made, where that was later than the cloud's first start."""

    account: str
    at: datetime


def tags_to_wire(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as IAM shows them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@record("iam.closed", key=("account",), partitioned=True)
class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is closed: whoever is in it is refused."""

    account: str


@record("iam.root_features", key=("organization",), partitioned=True)
class RootFeatures(msgspec.Struct, frozen=True, kw_only=True):
    """What an organisation's management account has taken over of its members' root users."""

    organization: str
    enabled: tuple[str, ...] = ()


@record("iam.organization_report", key=("account", "id"), partitioned=True)
class OrganizationReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report on what control policies let the accounts of an entity use, and what of it they did.

    `services` are the prefixes of what they may use, `accounts` whose uses count, with their paths.
    """

    account: str
    id: str
    at: datetime
    services: list[str]
    accounts: dict[str, str]
