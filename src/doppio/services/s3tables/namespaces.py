"""Namespaces: groups of tables in a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doppio.kernel.context import Context
from doppio.kernel.paging import begins, page_of
from doppio.services.s3tables.counting import NAMESPACES, check_room, count
from doppio.services.s3tables.errors import BadRequest, NotEmpty, Taken
from doppio.services.s3tables.limits import LISTED_MAX
from doppio.services.s3tables.lookup import bucket_of, namespace_of
from doppio.services.s3tables.pages import position
from doppio.services.s3tables.records import NAMES, Namespace, TableBucket
from doppio.services.s3tables.rules import namespace_is_allowed

if TYPE_CHECKING:
    from doppio._stubs import s3tables as w


class Namespaces:
    """The operations on namespaces."""

    async def create_namespace(
        self, ctx: Context, req: w.CreateNamespaceRequest
    ) -> w.CreateNamespaceResponse:
        """Make a namespace. It has one level."""
        name = req["namespace"][0]
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            # What a service of AWS's asks for on a caller's behalf has a name of AWS's.
            of_aws = bool(bucket.manager or ctx.caller.session.get("aws:viaawsservice"))
            if not namespace_is_allowed(name, of_aws=of_aws):
                raise BadRequest("The specified namespace name is not valid.")
            if await tx.get(Namespace, bucket.id, name) is not None:
                raise Taken("A namespace with an identical name already exists in the bucket.")
            await check_room(tx, NAMESPACES, bucket.id)
            count(tx, NAMESPACES, bucket.id, 1)
            tx.put(
                Namespace(
                    bucket=bucket.id,
                    name=name,
                    id=ctx.new_id(),
                    account=bucket.account,
                    created_at=ctx.now,
                    created_by=ctx.account,
                )
            )
        return {"tableBucketARN": bucket.arn, "namespace": [name]}

    async def get_namespace(
        self, ctx: Context, req: w.GetNamespaceRequest
    ) -> w.GetNamespaceResponse:
        """A namespace."""
        reader = ctx.read()
        bucket = await bucket_of(reader, req["tableBucketARN"])
        found = await namespace_of(reader, bucket, req["namespace"])
        return _shown(bucket, found)  # type: ignore[return-value]

    async def list_namespaces(
        self, ctx: Context, req: w.ListNamespacesRequest
    ) -> w.ListNamespacesResponse:
        """A bucket's namespaces, by name."""
        reader = ctx.read()
        bucket = await bucket_of(reader, req["tableBucketARN"])
        prefix, room = req.get("prefix", ""), req.get("maxNamespaces", LISTED_MAX)
        scope = f"namespaces/{bucket.id}/{prefix}"
        shown, token = await page_of(
            reader, Namespace, (bucket.id,), most=room, scope=scope, after=position(req, scope),
            **begins(prefix),
        )  # fmt: skip
        result: dict[str, Any] = {"namespaces": [_shown(bucket, one) for one in shown]}
        if token is not None:
            result["continuationToken"] = token
        return result  # type: ignore[return-value]

    async def delete_namespace(self, ctx: Context, req: w.DeleteNamespaceRequest) -> None:
        """Delete a namespace in which there are no tables."""
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            found = await namespace_of(tx, bucket, req["namespace"])
            if await tx.find(NAMES, (bucket.id, found.name), limit=1):
                raise NotEmpty("The namespace that you tried to delete is not empty.")
            tx.delete(found)
            count(tx, NAMESPACES, bucket.id, -1)


def _shown(bucket: TableBucket, namespace: Namespace) -> dict[str, Any]:
    return {
        "namespace": [namespace.name],
        "createdAt": namespace.created_at,
        "createdBy": namespace.created_by,
        "ownerAccountId": namespace.account,
        "namespaceId": namespace.id,
        "tableBucketId": bucket.id,
    }
