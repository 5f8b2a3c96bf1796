"""Settings of which a bucket may have many, each under an id: inventories, analytics and others.

Getting, listing and forgetting them is the same for all kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doppio.kernel.context import Context, Tx
from doppio.kernel.paging import page_token
from doppio.services.s3.errors import (
    InvalidArgument,
    InvalidConfigurationId,
    NoSuchConfiguration,
    TooManyConfigurations,
)
from doppio.services.s3.limits import (
    CONFIGURATION_ID_CHARS_MAX,
    CONFIGURATIONS_LISTED_MAX,
    CONFIGURATIONS_MAX,
)
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.records import Bucket
from doppio.services.s3.settings import drop_setting, put_setting, setting, settings
from doppio.services.s3.tokens import name_of

_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def check_id(req: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """The id of a configuration that is put. Raises InvalidConfigurationId."""
    name: str = req["Id"]
    if not 1 <= len(name) <= CONFIGURATION_ID_CHARS_MAX or not _ALLOWED.issuperset(name):
        raise InvalidConfigurationId
    if document["Id"] != name:
        raise InvalidArgument(
            "The ID in the request and the ID in the configuration are not the same.",
            ArgumentName="Id",
            ArgumentValue=document["Id"],
        )
    return name


async def put_configuration(
    tx: Tx, req: Mapping[str, Any], kind: str, document: dict[str, Any]
) -> Bucket:
    """Set a configuration, new or changed; the bucket as it is then."""
    bucket = await existing_bucket(tx, req)
    there = await settings(tx, bucket, kind)
    if len(there) >= CONFIGURATIONS_MAX and req["Id"] not in {one.id for one in there}:
        raise TooManyConfigurations
    tx.meter("Requests-Tier1")
    return put_setting(tx, bucket, kind, document, req["Id"])


async def get_configuration(ctx: Context, req: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A configuration as it was put. Raises NoSuchConfiguration."""
    reader = ctx.read()
    bucket = await existing_bucket(reader, req)
    reader.meter("Requests-Tier2")
    found = await setting(reader, bucket, kind, req["Id"])
    if found is None:
        raise NoSuchConfiguration(BucketName=bucket.name)
    return found


async def delete_configuration(tx: Tx, req: Mapping[str, Any], kind: str) -> Bucket:
    """Forget a configuration. Raises NoSuchConfiguration."""
    bucket = await existing_bucket(tx, req)
    if not await drop_setting(tx, bucket, kind, req["Id"]):
        raise NoSuchConfiguration(BucketName=bucket.name)
    return bucket


async def list_configurations(
    ctx: Context, req: Mapping[str, Any], kind: str, member: str
) -> dict[str, Any]:
    """A page of configurations, in the order of their ids, as `member` of the answer."""
    reader = ctx.read()
    bucket = await existing_bucket(reader, req)
    reader.meter("Requests-Tier2")
    found = await settings(reader, bucket, kind)
    token = req.get("ContinuationToken")
    scope = f"{bucket.id}/{kind}"
    if token is not None:
        after = name_of(token, scope)
        found = [one for one in found if one.id > after]
    shown = found[:CONFIGURATIONS_LISTED_MAX]
    answer: dict[str, Any] = {"IsTruncated": len(shown) < len(found)}
    if shown:
        answer[member] = [one.document for one in shown]
    if token is not None:
        answer["ContinuationToken"] = token
    if answer["IsTruncated"]:
        answer["NextContinuationToken"] = page_token(shown[-1].id.encode(), scope)
    return answer
