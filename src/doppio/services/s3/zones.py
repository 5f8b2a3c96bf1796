"""Classes that lie in one Availability Zone: not to be had while that zone is down.

Each bucket has one zone for them, by its name. The bucket's list of objects, and deleting, do not
depend on it: S3 keeps them in all zones of the Region.
"""

from __future__ import annotations

from doppio.kernel.context import Reader
from doppio.kernel.regions import is_up, zone_for
from doppio.services.s3.errors import ZoneUnavailable
from doppio.services.s3.records import Bucket

ONE_ZONE = "ONEZONE_IA"


def zone_of(bucket: Bucket) -> str:
    """The zone in which a bucket's objects of one-zone classes lie."""
    return zone_for(bucket.region, bucket.name)


async def check_zone(reader: Reader, bucket: Bucket, storage_class: str) -> None:
    """Raise ZoneUnavailable for a class whose one zone is down."""
    if storage_class == ONE_ZONE and not await is_up(reader, zone_of(bucket)):
        raise ZoneUnavailable


async def moves_now(reader: Reader, bucket: Bucket, here: str, there: str) -> bool:
    """Whether a version can change its class now: both ends of the way must be up."""
    return ONE_ZONE not in {here, there} or await is_up(reader, zone_of(bucket))
