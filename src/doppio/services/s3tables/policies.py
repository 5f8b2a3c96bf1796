"""Policies of table buckets and of tables. Both count for a table.

A bucket that is AWS's own (its `manager` is a service) bears what AWS says of it beside: the service
does with it what it has to, and nobody else writes to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context, Tx
from doppio.kernel.policy import MalformedPolicy, compile_policy
from doppio.kernel.policy.public import is_public
from doppio.services.s3tables.errors import BadRequest, Forbidden, NotFound
from doppio.services.s3tables.limits import POLICY_BYTES_MAX
from doppio.services.s3tables.lookup import bucket_of, table_of
from doppio.services.s3tables.permissions import MAINTENANCE
from doppio.services.s3tables.records import Table, TableBucket

if TYPE_CHECKING:
    from doppio._stubs import s3tables as w

# What nobody but the service may do whose a bucket is. Source: "Permissions for metadata tables".
_OF_MANAGERS = [
    f"s3tables:{action}"
    for action in (
        "CreateNamespace", "CreateTable", "PutTableBucketEncryption",
        "PutTableBucketMaintenanceConfiguration", "PutTableBucketStorageClass", "PutTableData",
        "PutTableMaintenanceConfiguration", "RenameTable", "UpdateTableMetadataLocation",
    )
]  # fmt: skip


class Policies:
    """Who else may use a table bucket, or a table."""

    async def put_table_bucket_policy(
        self, ctx: Context, req: w.PutTableBucketPolicyRequest
    ) -> None:
        """Hang a policy on a bucket; it counts for the tables in it, too."""
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            _check(req["resourcePolicy"], bucket.arn)
            tell_bucket(tx, replace(bucket, policy=req["resourcePolicy"]))

    async def get_table_bucket_policy(
        self, ctx: Context, req: w.GetTableBucketPolicyRequest
    ) -> w.GetTableBucketPolicyResponse:
        """A bucket's policy, as it was put."""
        bucket = await bucket_of(ctx.read(), req["tableBucketARN"])
        if bucket.policy is None:
            raise NotFound("The specified table bucket does not have a policy.")
        return {"resourcePolicy": bucket.policy}

    async def delete_table_bucket_policy(
        self, ctx: Context, req: w.DeleteTableBucketPolicyRequest
    ) -> None:
        """Take a bucket's policy off; no policy is no error."""
        async with ctx.write() as tx:
            bucket = await bucket_of(tx, req["tableBucketARN"])
            tell_bucket(tx, replace(bucket, policy=None))

    async def put_table_policy(self, ctx: Context, req: w.PutTablePolicyRequest) -> None:
        """Hang a policy on a table."""
        async with ctx.write() as tx:
            _, table = await table_of(tx, req)
            _check(req["resourcePolicy"], table.arn)
            tell_table(tx, replace(table, policy=req["resourcePolicy"]))

    async def get_table_policy(
        self, ctx: Context, req: w.GetTablePolicyRequest
    ) -> w.GetTablePolicyResponse:
        """A table's policy, as it was put."""
        _, table = await table_of(ctx.read(), req)
        if table.policy is None:
            raise NotFound("The specified table does not have a policy.")
        return {"resourcePolicy": table.policy}

    async def delete_table_policy(self, ctx: Context, req: w.DeleteTablePolicyRequest) -> None:
        """Take a table's policy off; no policy is no error."""
        async with ctx.write() as tx:
            _, table = await table_of(tx, req)
            tell_table(tx, replace(table, policy=None))


def tell_bucket(tx: Tx, bucket: TableBucket) -> None:
    """Keep a bucket, and tell the authoriser what its policy grants."""
    tx.put(bucket)
    text = bucket.policy
    if bucket.manager:
        text = _with(text, _of_manager(bucket))
    put_resource(tx, bucket.arn, bucket.account, text)


def tell_table(tx: Tx, table: Table) -> None:
    """Keep a table, and tell the authoriser what its policy grants beside its bucket's."""
    tx.put(table)
    text = table.policy
    if table.source:
        text = _with(text, [_of_replica(table)])
    put_resource(tx, table.arn, table.account, text, under=table.bucket_arn)


def _with(text: str | None, more: list[Mapping[str, Any]]) -> str:
    """A policy, if there is one, with further statements."""
    own = json.loads(text) if text is not None else {"Version": "2012-10-17", "Statement": []}
    given = own["Statement"]
    listed = given if isinstance(given, list) else [given]
    return json.dumps({**own, "Statement": [*listed, *more]})


def _of_replica(table: Table) -> Mapping[str, Any]:
    """Nobody but S3 Tables writes to a replica."""
    writes = ("PutTableData", "UpdateTableMetadataLocation", "RenameTable")
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": [f"s3tables:{action}" for action in writes],
        "Resource": table.arn,
        "Condition": {"StringNotEquals": {"aws:PrincipalServiceName": [MAINTENANCE]}},
    }


def _of_manager(bucket: TableBucket) -> list[Mapping[str, Any]]:
    there = [bucket.arn, f"{bucket.arn}/*"]
    services = [bucket.manager, MAINTENANCE]
    return [
        {
            "Effect": "Allow",
            "Principal": {"Service": bucket.manager},
            "Action": "s3tables:*",
            "Resource": there,
            "Condition": {"StringEquals": {"aws:SourceAccount": bucket.account}},
        },
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": _OF_MANAGERS,
            "Resource": there,
            "Condition": {"StringNotEquals": {"aws:PrincipalServiceName": services}},
        },
    ]


def _check(text: str, arn: str) -> None:
    """Raise BadRequestException unless this may hang on the resource.

    Public policies are always blocked. Source: "Managing public access to table buckets".
    """
    if len(text.encode()) > POLICY_BYTES_MAX:
        raise BadRequest("The specified policy exceeds the maximum allowed size.")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadRequest("Policies must be valid JSON and the first byte must be '{'") from error
    try:
        compile_policy(text)
    except MalformedPolicy as error:
        raise BadRequest(str(error)) from error
    given = document["Statement"]
    for statement in given if isinstance(given, list) else [given]:
        if "Principal" not in statement and "NotPrincipal" not in statement:
            raise BadRequest("Missing required field Principal")
        resources = statement.get("Resource", [])
        for one in [resources] if isinstance(resources, str) else resources:
            if one != "*" and not (one == arn or one.startswith(f"{arn}/")):
                raise BadRequest("Policy has invalid resource")
    if is_public(document):
        raise Forbidden("Public policies are blocked by the Block Public Access setting.")
