"""What each operation needs: IAM's actions, on the bucket or the table that it names.

Source: "Actions, resources, and condition keys for Amazon S3 Tables" in the Service Authorization
Reference, and the permissions that each operation's documentation names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.service import Granted, Need
from doppio.services.s3tables.lookup import Meant, find_bucket, table_by_arn
from doppio.services.s3tables.records import Table
from doppio.services.s3tables.rules import bucket_arn_of

MAINTENANCE = "maintenance.s3tables.amazonaws.com"
_RESOURCE_TAG = "aws:resourcetag/"
_BUCKET_TAG = "s3tables:tablebuckettag/"


class Tags:
    """Tags of tables and their buckets, read where a policy asks for them."""

    def knows(self, key: str) -> bool:
        return key.startswith((_RESOURCE_TAG, _BUCKET_TAG))

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """The resource's own tags, and those of the bucket in which a table lies."""
        reader = ctx.read()
        found: dict[str, Any] = {}
        bucket = await find_bucket(reader, bucket_arn_of(need.resource))
        own = await _tags_of(reader, need.resource)
        found |= {f"{_RESOURCE_TAG}{name.lower()}": text for name, text in own.items()}
        if bucket is not None:
            found |= {f"{_BUCKET_TAG}{name.lower()}": text for name, text in bucket.tags.items()}
        return found

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """Tags grant nothing by themselves."""
        return None


async def _tags_of(reader: Reader, arn: str) -> Mapping[str, str]:
    if "/table/" in arn:
        table = await table_by_arn(reader, arn)
        return {} if table is None else table.tags
    bucket = await find_bucket(reader, arn)
    return {} if bucket is None else bucket.tags


TAGS = Tags()


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The permissions that a call takes, all of them."""
    keys = _keys(req)
    if isinstance(req, Meant):
        table = req.table
        if table is None:
            return _of_missing(operation, req, keys)
        found = [on_table(ctx, operation, table, keys)]
        if operation == "PutTableMaintenanceConfiguration" and _sorts(req):
            found.append(on_table(ctx, "GetTableData", table))
        return found
    arn = req.get("tableBucketARN") or req.get("resourceArn")
    if arn is None:
        if operation != "CreateTableBucket":
            return (Need(f"s3tables:{operation}"),)
        place = f"arn:{ctx.partition}:s3tables:{ctx.region}:{ctx.account}"
        arn = f"{place}:bucket/{req['name']}"
        # There is no policy yet, and another bucket's of this name is not asked.
        actions = ("CreateTableBucket", *_beside_new("PutTableBucket", req))
        # A service of AWS's makes buckets of its own, in the account for which it acts.
        own = ctx.caller.kind == "service" and ctx.caller.account == ctx.account
        return [Need(f"s3tables:{action}", arn, keys, "*", granted=own) for action in actions]
    namespace = req.get("namespace")
    if isinstance(namespace, str):
        keys["s3tables:namespace"] = namespace
    needed = [Need(f"s3tables:{operation}", arn, keys, beyond=TAGS)]
    if operation == "CreateTable":
        # The table has no ARN before it is made; whoever may do it may do it to any.
        new = f"{arn}/table/*"
        needed += [
            Need(f"s3tables:{action}", new, keys, arn, beyond=TAGS)
            for action in _beside_new("PutTable", req)
        ]
    return needed


def on_table(
    ctx: Context, action: str, table: Table, keys: Mapping[str, Any] | None = None
) -> Need:
    """An action on a table, for which the policies of the table and of its bucket count.

    S3 Tables keeps tables in order, whatever policies grant; what they deny, they deny to it, too.
    """
    caller = ctx.caller
    own = caller.kind == "service" and caller.arn == MAINTENANCE and caller.account == table.account
    named = {
        **(keys or {}),
        "s3tables:namespace": table.namespace,
        "s3tables:tablename": table.name or table.wanted,
    }
    return Need(f"s3tables:{action}", table.arn, named, granted=own, beyond=TAGS)


def _of_missing(operation: str, req: Mapping[str, Any], keys: dict[str, Any]) -> Sequence[Need]:
    """Who may not ask for a table at all hears no more of one that is not there."""
    arn = req.get("tableBucketARN")
    if arn is None:
        named = next(
            str(req[name]) for name in ("tableArn", "tableARN", "resourceArn") if name in req
        )
        return (Need(f"s3tables:{operation}", named, keys, bucket_arn_of(named)),)
    for member, key in (("namespace", "s3tables:namespace"), ("name", "s3tables:tablename")):
        if member in req:
            keys[key] = req[member]
    return (Need(f"s3tables:{operation}", f"{arn}/table/*", keys, arn),)


def _sorts(req: Mapping[str, Any]) -> bool:
    """Whether compaction is to look at the data, and not only at the sizes of files."""
    settings = req["value"].get("settings") or {}
    strategy = (settings.get("icebergCompaction") or {}).get("strategy")
    return strategy in {"sort", "z-order"}


def _beside_new(put: str, req: Mapping[str, Any]) -> list[str]:
    """What a new bucket or table is made with takes permissions of its own."""
    found = []
    if "encryptionConfiguration" in req:
        found.append(f"{put}Encryption")
    if "storageClassConfiguration" in req:
        found.append(f"{put}StorageClass")
    if req.get("tags"):
        found.append("TagResource")
    return found


def _keys(req: Mapping[str, Any]) -> dict[str, Any]:
    """Condition keys of what a request gives."""
    keys: dict[str, Any] = {}
    tags = req.get("tags")
    if tags:
        keys |= {f"aws:requesttag/{name.lower()}": text for name, text in tags.items()}
        keys["aws:tagkeys"] = list(tags)
    if req.get("tagKeys"):
        keys["aws:tagkeys"] = list(req["tagKeys"])
    encryption = req.get("encryptionConfiguration") or {}
    if "sseAlgorithm" in encryption:
        keys["s3tables:ssealgorithm"] = encryption["sseAlgorithm"]
    if "kmsKeyArn" in encryption:
        keys["s3tables:kmskeyarn"] = encryption["kmsKeyArn"]
    storage = req.get("storageClassConfiguration") or {}
    if "storageClass" in storage:
        keys["s3tables:storageclass"] = storage["storageClass"]
    return keys
