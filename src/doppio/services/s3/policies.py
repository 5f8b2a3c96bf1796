"""Bucket policies, and the block of public access that bounds them.

The authoriser goes by what is told to it in the same commit. That is the policy as it was put, and
a denial of strangers beside it where RestrictPublicBuckets narrows a public one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel import policy
from doppio.kernel.authorise import put_resource
from doppio.kernel.context import Context, Tx
from doppio.kernel.policy.document import names_others
from doppio.kernel.policy.public import is_public
from doppio.services.s3 import acl_rules
from doppio.services.s3.errors import (
    AccessDenied,
    MalformedPolicy,
    NoSuchBucketPolicy,
    NoSuchPublicAccessBlockConfiguration,
)
from doppio.services.s3.limits import POLICY_BYTES_MAX
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.records import Bucket
from doppio.services.s3.rules import policy_problem

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_NOT_JSON = "Policies must be valid JSON and the first byte must be '{'"
SETTINGS = (
    "BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets",
)  # fmt: skip


class Policies:
    """Who else may use a bucket."""

    async def put_bucket_policy(self, ctx: Context, req: w.PutBucketPolicyRequest) -> None:
        """Hang a policy on the bucket; it counts for the next request."""
        text: str = req["Policy"]
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            document = checked_policy(bucket.arn, text)
            if bucket.blocks("BlockPublicPolicy") and is_public(document):
                raise AccessDenied(
                    f"User: {ctx.caller.arn} is not authorized to perform: s3:PutBucketPolicy on "
                    f'resource: "{bucket.arn}" because public policies are prevented by the '
                    "BlockPublicPolicy setting in S3 Block Public Access."
                )
            tell_policy(tx, msgspec.structs.replace(bucket, policy=text))
            tx.meter("Requests-Tier1")

    async def get_bucket_policy(
        self, ctx: Context, req: w.GetBucketPolicyRequest
    ) -> w.GetBucketPolicyOutput:
        """The policy, as it was put."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        return {"Policy": _policy(bucket)}

    async def get_bucket_policy_status(
        self, ctx: Context, req: w.GetBucketPolicyStatusRequest
    ) -> w.GetBucketPolicyStatusOutput:
        """Whether the policy lets the world in."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        return {"PolicyStatus": {"IsPublic": is_public(json.loads(_policy(bucket)))}}

    async def delete_bucket_policy(self, ctx: Context, req: w.DeleteBucketPolicyRequest) -> None:
        """Take the policy off; no policy is no error."""
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            tell_policy(tx, msgspec.structs.replace(bucket, policy=None))

    async def put_public_access_block(
        self, ctx: Context, req: w.PutPublicAccessBlockRequest
    ) -> None:
        """Set what bounds public policies; what is not named is off."""
        wanted = req["PublicAccessBlockConfiguration"]
        block = {name: bool(wanted.get(name)) for name in SETTINGS}
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            tell_policy(tx, msgspec.structs.replace(bucket, public_access_block=block))
            tx.meter("Requests-Tier1")

    async def get_public_access_block(
        self, ctx: Context, req: w.GetPublicAccessBlockRequest
    ) -> w.GetPublicAccessBlockOutput:
        """What bounds public policies; every bucket begins with all four on."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        if bucket.public_access_block is None:
            raise NoSuchPublicAccessBlockConfiguration(BucketName=bucket.name)
        block = cast("w.PublicAccessBlockConfiguration", bucket.public_access_block)
        return {"PublicAccessBlockConfiguration": block}

    async def delete_public_access_block(
        self, ctx: Context, req: w.DeletePublicAccessBlockRequest
    ) -> None:
        """Take the bounds off."""
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            tell_policy(tx, msgspec.structs.replace(bucket, public_access_block=None))


def tell_policy(tx: Tx, bucket: Bucket) -> None:
    """Keep a bucket, and tell the authoriser what its policy and its list of access grant."""
    tx.put(bucket)
    document = None if bucket.policy is None else json.loads(bucket.policy)
    effective = with_list(bucket, effective_policy(bucket, document))
    text = None if effective is None else json.dumps(effective)
    put_resource(tx, bucket.arn, bucket.account, text)


def effective_policy(
    bucket: Bucket, document: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """What the authoriser goes by: the policy, with a denial of strangers where
    RestrictPublicBuckets narrows a public one to the owner's account and to AWS services."""
    if document is None or not bucket.blocks("RestrictPublicBuckets") or not is_public(document):
        return document
    return restricted(document, bucket.arn, bucket.account)


def restricted(document: Mapping[str, Any], arn: str, account: str) -> Mapping[str, Any]:
    """A policy with a denial of all but an account and AWS services."""
    denial = {
        "Sid": "RestrictPublicBuckets",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {
            "StringNotEquals": {"aws:PrincipalAccount": account},
            "Bool": {"aws:PrincipalIsAWSService": "false"},
        },
    }
    return {**document, "Statement": [*_statements(document), denial]}


def with_list(bucket: Bucket, document: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """A policy, and beside it what the bucket's list of access grants where lists count."""
    if bucket.acl is None or bucket.ownership == "BucketOwnerEnforced":
        return document
    public = not bucket.blocks("IgnorePublicAcls")
    granted = acl_rules.bucket_statements(bucket.acl, bucket.arn, public=public)
    if not granted:
        return document
    if document is None:
        return {"Version": "2012-10-17", "Statement": granted}
    return {**document, "Statement": [*_statements(document), *granted]}


def _statements(document: Mapping[str, Any]) -> list[Any]:
    given = document.get("Statement") or []
    return given if isinstance(given, list) else [given]


def _policy(bucket: Bucket) -> str:
    if bucket.policy is None:
        raise NoSuchBucketPolicy(BucketName=bucket.name)
    return bucket.policy


def checked_policy(arn: str, text: str) -> Mapping[str, Any]:
    """The document of a policy that may hang on this resource. Raises MalformedPolicy."""
    if len(text.encode()) > POLICY_BYTES_MAX:
        raise MalformedPolicy("Normalized policy document exceeds the maximum allowed size")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise MalformedPolicy(_NOT_JSON) from error
    if not isinstance(document, dict):
        raise MalformedPolicy(_NOT_JSON)
    try:
        policy.compile_policy(document)
    except policy.MalformedPolicy as error:
        raise MalformedPolicy(str(error)) from error
    if names_others(document, arn.split(":")[1]):
        raise MalformedPolicy("Invalid principal in policy")
    problem = policy_problem(document, arn)
    if problem is not None:
        raise MalformedPolicy(problem)
    return document
