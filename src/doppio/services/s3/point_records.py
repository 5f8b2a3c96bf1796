"""What S3 stores of access points: other ways to buckets, each with a policy of its own."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

import msgspec

from doppio.kernel.records import Index, record

POINTS_OF: Index[AccessPoint] = Index("bucket", ("bucket", "account", "region", "name"))
POINT_ALIASES: Index[AccessPoint] = Index("alias", ("alias",))
MULTI_REGION_ALIASES: Index[MultiRegionPoint] = Index("alias", ("alias",))


class Blocking(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What blocks public access that comes through it. `account_block` is a copy, as in `Bucket`."""

    block: dict[str, bool]
    account_block: dict[str, bool] | None = None

    def blocks(self, setting: str) -> bool:
        """Whether it or its account blocks public access in this way."""
        account_block = self.account_block
        return self.block.get(setting, False) or (
            account_block is not None and account_block.get(setting, False)
        )


@record("s3.access_point", key=("account", "region", "name"), indexes=(POINTS_OF, POINT_ALIASES))
class AccessPoint(Blocking, frozen=True, kw_only=True, omit_defaults=True):
    """Another way to a bucket: a name with a policy and a block of its own.

    `bucket` is the key of the bucket's record, which may be another account's. `vpc` is where
    requests must come from, if not from anywhere.
    """

    partition: str
    account: str
    region: str
    name: str
    alias: str
    bucket: str
    bucket_name: str
    bucket_account: str
    created_at: datetime
    vpc: str = ""
    policy: str | None = None
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:s3:{self.region}:{self.account}:accesspoint/{self.name}"

    @property
    def origin(self) -> str:
        return "VPC" if self.vpc else "Internet"


class Route(msgspec.Struct, frozen=True, array_like=True):
    """One bucket of a Multi-Region Access Point: `dial` is 100 where requests may go, else 0."""

    bucket: str
    bucket_name: str
    bucket_account: str
    region: str
    dial: int = 100


@record("s3.multi_region_point", key=("account", "name"), indexes=(MULTI_REGION_ALIASES,))
class MultiRegionPoint(Blocking, frozen=True, kw_only=True, omit_defaults=True):
    """One name for buckets in several Regions, of which each request goes to one.

    `status` is as on the wire. `proposed` is the policy that was put last, and `policy` the one that
    counts.
    """

    # What an access point may have and this has not.
    vpc: ClassVar[str] = ""
    origin: ClassVar[str] = "Internet"
    tags: ClassVar[dict[str, str]] = {}

    partition: str
    account: str
    name: str
    alias: str
    created_at: datetime
    status: str
    routes: list[Route]
    policy: str | None = None
    proposed: str | None = None

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:s3::{self.account}:accesspoint/{self.alias}"


@record("s3.points_held", key=("account", "region"))
class PointsHeld(msgspec.Struct, frozen=True, kw_only=True):
    """How many access points an account has in a Region, and how many of Object Lambda."""

    account: str
    region: str
    points: int = 0
    lambda_points: int = 0
