"""What Parameter Store keeps. SecureStrings lie sealed under keys of KMS."""

from __future__ import annotations

from datetime import datetime

import msgspec

from doppio.kernel.records import record


@record("ssm.parameter", key=("account", "region", "name"))
class Parameter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A parameter. `version` is the number of its newest version, `oldest` of its oldest one.

    `labels` says which version each label is on. `policy` says who else may read it.
    """

    account: str
    region: str
    name: str
    kind: str
    tier: str
    version: int
    oldest: int = 1
    partition: str = "aws"
    expires_at: datetime | None = None
    labels: dict[str, int] = {}
    tags: dict[str, str] = {}
    policy: str = ""
    policy_id: str = ""

    @property
    def arn(self) -> str:
        return arn_of(self.partition, self.region, self.account, self.name)


@record("ssm.version", key=("account", "region", "name", "number"))
class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version of a parameter, with what was said of the parameter when it was put.

    `value` is in clear, but for a SecureString: that is `sealed`, by KMS itself or, with `wrapped`,
    under a data key of KMS's.
    """

    account: str
    region: str
    name: str
    number: int
    kind: str
    tier: str
    modified_at: datetime
    modified_by: str
    value: str = ""
    sealed: bytes = b""
    wrapped: bytes = b""
    key: str = ""
    description: str = ""
    pattern: str = ""
    data_type: str = "text"
    policies: str = ""


@record("ssm.setting", key=("account", "region", "name"))
class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A service setting that an account has changed."""

    account: str
    region: str
    name: str
    value: str
    modified_at: datetime
    modified_by: str


def arn_of(partition: str, region: str, account: str, name: str) -> str:
    """The ARN of a parameter: a leading slash of its name is not doubled."""
    return f"arn:{partition}:ssm:{region}:{account}:parameter/{name.removeprefix('/')}"
