"""Table buckets: create, get, list, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doppio.kernel.authorise import forget_resource
from doppio.kernel.context import Context
from doppio.kernel.paging import begins, page_of
from doppio.services.s3tables.errors import BadRequest, NotEmpty, Taken
from doppio.services.s3tables.limits import LISTED_MAX, TABLE_BUCKETS_MAX
from doppio.services.s3tables.lookup import bucket_of
from doppio.services.s3tables.pages import position
from doppio.services.s3tables.policies import tell_bucket
from doppio.services.s3tables.records import CUSTOMER, NAMES, Namespace, TableBucket
from doppio.services.s3tables.rules import bucket_name_is_allowed
from doppio.services.s3tables.settings import checked_encryption, checked_storage_class
from doppio.services.s3tables.tags import checked_tags

if TYPE_CHECKING:
    from doppio._stubs import s3tables as w


class Buckets:
    """The operations on table buckets themselves."""

    async def create_table_bucket(
        self, ctx: Context, req: w.CreateTableBucketRequest
    ) -> w.CreateTableBucketResponse:
        """Take a name, which is unique in the account and the Region."""
        name = req["name"]
        manager = ctx.caller.arn if ctx.caller.kind == "service" else ""
        if not bucket_name_is_allowed(name, of_aws=bool(manager)):
            raise BadRequest("The specified bucket name is not valid.")
        encryption = checked_encryption(req.get("encryptionConfiguration"))
        storage_class = checked_storage_class(req.get("storageClassConfiguration"))
        async with ctx.write() as tx:
            if await tx.get(TableBucket, ctx.account, ctx.region, name) is not None:
                raise Taken("The bucket that you tried to create already exists, and you own it.")
            there = await tx.list(TableBucket, (ctx.account, ctx.region), limit=LISTED_MAX)
            if not manager and sum(one.type == CUSTOMER for one in there) >= TABLE_BUCKETS_MAX:
                raise BadRequest(
                    "You have attempted to create more table buckets than are allowed for an "
                    "AWS account."
                )
            bucket = TableBucket(
                account=ctx.account,
                region=ctx.region,
                name=name,
                id=ctx.new_id(),
                partition=ctx.partition,
                created_at=ctx.now,
                manager=manager,
                tags=checked_tags({}, req.get("tags") or {}),
                encryption=encryption,
                storage_class=storage_class,
            )
            tell_bucket(tx, bucket)
        return {"arn": bucket.arn}

    async def get_table_bucket(
        self, ctx: Context, req: w.GetTableBucketRequest
    ) -> w.GetTableBucketResponse:
        """A bucket."""
        return _shown(await bucket_of(ctx.read(), req["tableBucketARN"]))  # type: ignore[return-value]

    async def list_table_buckets(
        self, ctx: Context, req: w.ListTableBucketsRequest
    ) -> w.ListTableBucketsResponse:
        """The account's buckets in this Region, by name."""
        prefix, wanted = req.get("prefix", ""), req.get("type")
        room = req.get("maxBuckets", LISTED_MAX)
        scope = f"buckets/{ctx.account}/{ctx.region}/{prefix}/{wanted}"
        shown, token = await page_of(
            ctx.read(), TableBucket, (ctx.account, ctx.region), most=room, scope=scope,
            after=position(req, scope), fits=lambda one: wanted in (None, one.type),
            **begins(prefix),
        )  # fmt: skip
        result: dict[str, Any] = {"tableBuckets": [_shown(one) for one in shown]}
        if token is not None:
            result["continuationToken"] = token
        return result  # type: ignore[return-value]

    async def delete_table_bucket(self, ctx: Context, req: w.DeleteTableBucketRequest) -> None:
        """Give the name back; only an empty bucket can go."""
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            tables = await tx.find(NAMES, (bucket.id,), limit=1)
            namespaces = await tx.list(Namespace, (bucket.id,), limit=1)
            if tables or namespaces:
                raise NotEmpty("The bucket that you tried to delete is not empty.")
            tx.delete(bucket)
            forget_resource(tx, bucket.arn)


def _shown(bucket: TableBucket) -> dict[str, Any]:
    return {
        "arn": bucket.arn,
        "name": bucket.name,
        "ownerAccountId": bucket.account,
        "createdAt": bucket.created_at,
        "tableBucketId": bucket.id,
        "type": bucket.type,
    }
