"""What a bucket is set to: encryption, ownership, cross-origin rules, and whom it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from doppio.kernel.context import Context
from doppio.services.s3 import acl_rules
from doppio.services.s3.attributes import ENFORCED
from doppio.services.s3.encryption import AES256, DSSE, KMS
from doppio.services.s3.errors import (
    InvalidArgument,
    InvalidBucketAclWithObjectOwnership,
    InvalidRequest,
    MalformedXML,
    NoSuchCORSConfiguration,
    OwnershipControlsNotFound,
)
from doppio.services.s3.limits import CORS_RULES_MAX
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.policies import tell_policy
from doppio.services.s3.records import Bucket

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

_OWNERSHIPS = frozenset({"BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"})
_METHODS = frozenset({"GET", "PUT", "HEAD", "POST", "DELETE"})
_DEFAULT_ENCRYPTION: w.ServerSideEncryptionConfiguration = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": AES256},
            "BucketKeyEnabled": False,
        }
    ]
}


async def _change(ctx: Context, req: Mapping[str, Any], **changes: Any) -> None:
    async with ctx.write() as tx:
        bucket = await existing_bucket(tx, req)
        tx.put(msgspec.structs.replace(bucket, **changes))
        tx.meter("Requests-Tier1")


async def _own(ctx: Context, req: Mapping[str, Any], ownership: str | None) -> None:
    """Set an ownership; lists cannot be switched off while the bucket's lets others in."""
    async with ctx.write() as tx:
        bucket = await existing_bucket(tx, req)
        if ownership == ENFORCED and acl_rules.lets_others(bucket.acl, bucket.account):
            raise InvalidBucketAclWithObjectOwnership
        tell_policy(tx, msgspec.structs.replace(bucket, ownership=ownership))
        tx.meter("Requests-Tier1")


async def _read(ctx: Context, req: Mapping[str, Any]) -> Bucket:
    reader = ctx.read()
    bucket = await existing_bucket(reader, req)
    reader.meter("Requests-Tier2")
    return bucket


class Configuration:
    """Settings that a bucket has from its creation on, or that are put on it."""

    async def get_bucket_encryption(
        self, ctx: Context, req: w.GetBucketEncryptionRequest
    ) -> w.GetBucketEncryptionOutput:
        """How new objects are encrypted: with S3's own keys where nothing else was said."""
        bucket = await _read(ctx, req)
        found = cast("w.ServerSideEncryptionConfiguration", bucket.encryption)
        return {"ServerSideEncryptionConfiguration": found or _DEFAULT_ENCRYPTION}

    async def put_bucket_encryption(self, ctx: Context, req: w.PutBucketEncryptionRequest) -> None:
        """Set how new objects are encrypted."""
        rules = req["ServerSideEncryptionConfiguration"].get("Rules") or []
        if len(rules) != 1:
            raise MalformedXML
        default = rules[0].get("ApplyServerSideEncryptionByDefault")
        algorithm = (default or {}).get("SSEAlgorithm", AES256)
        if algorithm not in {AES256, KMS, DSSE}:
            raise MalformedXML
        key_id = (default or {}).get("KMSMasterKeyID")
        if key_id is not None and algorithm == AES256:
            raise InvalidArgument(
                "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms",
                ArgumentName="ApplyServerSideEncryptionByDefault",
            )
        applied = {"SSEAlgorithm": algorithm}
        if key_id is not None:
            applied["KMSMasterKeyID"] = key_id
        rule = {
            **rules[0],
            "ApplyServerSideEncryptionByDefault": applied,
            "BucketKeyEnabled": bool(rules[0].get("BucketKeyEnabled")),
        }
        await _change(ctx, req, encryption={"Rules": [rule]})

    async def delete_bucket_encryption(
        self, ctx: Context, req: w.DeleteBucketEncryptionRequest
    ) -> None:
        """Go back to the default."""
        await _change(ctx, req, encryption=None)

    async def get_bucket_ownership_controls(
        self, ctx: Context, req: w.GetBucketOwnershipControlsRequest
    ) -> w.GetBucketOwnershipControlsOutput:
        """Who owns what others write, and whether ACLs count."""
        bucket = await _read(ctx, req)
        if bucket.ownership is None:
            raise OwnershipControlsNotFound(BucketName=bucket.name)
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": bucket.ownership}]}}

    async def put_bucket_ownership_controls(
        self, ctx: Context, req: w.PutBucketOwnershipControlsRequest
    ) -> None:
        """Set who owns what others write."""
        rules = req["OwnershipControls"].get("Rules") or []
        if len(rules) != 1 or rules[0].get("ObjectOwnership") not in _OWNERSHIPS:
            raise MalformedXML
        await _own(ctx, req, rules[0]["ObjectOwnership"])

    async def delete_bucket_ownership_controls(
        self, ctx: Context, req: w.DeleteBucketOwnershipControlsRequest
    ) -> None:
        """Forget the controls: the same as ObjectWriter."""
        await _own(ctx, req, None)

    async def put_bucket_abac(self, ctx: Context, req: w.PutBucketAbacRequest) -> None:
        """Let the bucket's tags count in policies, or not; they do not at first."""
        status = req["AbacStatus"].get("Status")
        if status not in {"Enabled", "Disabled"}:
            raise MalformedXML
        await _change(ctx, req, abac=status == "Enabled")

    async def get_bucket_abac(
        self, ctx: Context, req: w.GetBucketAbacRequest
    ) -> w.GetBucketAbacOutput:
        """Whether the bucket's tags count in policies."""
        bucket = await _read(ctx, req)
        return {"AbacStatus": {"Status": "Enabled" if bucket.abac else "Disabled"}}

    async def get_bucket_cors(
        self, ctx: Context, req: w.GetBucketCorsRequest
    ) -> w.GetBucketCorsOutput:
        """The cross-origin rules."""
        bucket = await _read(ctx, req)
        if bucket.cors is None:
            raise NoSuchCORSConfiguration(BucketName=bucket.name)
        return {"CORSRules": cast("list[w.CORSRule]", bucket.cors)}

    async def put_bucket_cors(self, ctx: Context, req: w.PutBucketCorsRequest) -> None:
        """Set which origins may use the bucket from a browser."""
        rules = req["CORSConfiguration"].get("CORSRules") or []
        if not 1 <= len(rules) <= CORS_RULES_MAX:
            raise MalformedXML
        for rule in rules:
            _check_cors(rule)
        await _change(ctx, req, cors=rules)

    async def delete_bucket_cors(self, ctx: Context, req: w.DeleteBucketCorsRequest) -> None:
        """Forget the cross-origin rules."""
        await _change(ctx, req, cors=None)


def _check_cors(rule: Mapping[str, Any]) -> None:
    methods = rule.get("AllowedMethods") or []
    origins = rule.get("AllowedOrigins") or []
    if not methods or not origins:
        raise MalformedXML
    for method in methods:
        if method not in _METHODS:
            raise InvalidRequest(
                f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )
    for origin in origins:
        if origin.count("*") > 1:
            raise InvalidRequest(f'AllowedOrigin "{origin}" can not have more than one wildcard.')
    for header in rule.get("AllowedHeaders") or []:
        if header.count("*") > 1:
            raise InvalidRequest(f'AllowedHeader "{header}" can not have more than one wildcard.')
    for header in rule.get("ExposeHeaders") or []:
        if "*" in header:
            raise InvalidRequest(
                f'ExposeHeader "{header}" contains wildcard. We currently do not support wildcard '
                "for ExposeHeader."
            )
