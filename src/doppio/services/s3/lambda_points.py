"""Object Lambda access points: what of them is stored.

Such a point leads to an access point, its supporting one, and lets a function answer some of the
requests in its place. S3 Control makes them, S3 lets requests through them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from doppio.kernel.records import Index, record
from doppio.services.s3.point_records import Blocking

LAMBDA_END = "--ol-s3"
LAMBDA_ALIASES: Index[LambdaPoint] = Index("alias", ("alias",))


@record("s3.lambda_point", key=("account", "region", "name"), indexes=(LAMBDA_ALIASES,))
class LambdaPoint(Blocking, frozen=True, kw_only=True, omit_defaults=True):
    """An Object Lambda access point. `configuration` is as it was put.

    Public access is always blocked, in each way.
    """

    # What an access point may have and this has not.
    vpc: ClassVar[str] = ""
    tags: ClassVar[dict[str, str]] = {}

    partition: str
    account: str
    region: str
    name: str
    alias: str
    created_at: datetime
    configuration: dict[str, Any]
    policy: str | None = None

    @property
    def arn(self) -> str:
        place = f"arn:{self.partition}:s3-object-lambda:{self.region}:{self.account}"
        return f"{place}:accesspoint/{self.name}"
