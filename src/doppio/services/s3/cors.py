"""Cross-origin requests: what a browser may do with a bucket, by the bucket's rules.

Source: "Using cross-origin resource sharing (CORS)" in the S3 user guide: the first rule that fits
origin, method and headers answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import CrossOrigin
from doppio.services.s3 import points
from doppio.services.s3.errors import AccessForbidden, NoSuchBucket
from doppio.services.s3.lookup import bucket_id
from doppio.services.s3.records import Bucket

_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
_NOT_ENABLED = "CORSResponse: CORS is not enabled for this bucket."
_NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of "
    "Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are "
    "not whitelisted by the resource's CORS spec."
)


async def cross_origin(
    ctx: Context, uri: Mapping[str, str], asked: CrossOrigin
) -> Sequence[tuple[str, str]]:
    """The headers that tell a browser what it may. A preflight that may nothing is an error."""
    name = await points.bucket_meant(ctx, uri.get("Bucket", ""))
    bucket = await ctx.read().get(Bucket, bucket_id(ctx, name)) if name else None
    if bucket is None:
        if asked.preflight and name:
            raise NoSuchBucket(BucketName=name)
        return ()
    rule = None if bucket.cors is None else rule_for(bucket.cors, asked)
    if rule is not None:
        return headers_of(rule, asked)
    if asked.preflight:
        resource = "OBJECT" if uri.get("Key") else "BUCKET"
        text = _NOT_ENABLED if bucket.cors is None else _NOT_ALLOWED
        raise AccessForbidden(text, Method=asked.method, ResourceType=resource)
    return ()


def rule_for(rules: Sequence[Mapping[str, Any]], asked: CrossOrigin) -> Mapping[str, Any] | None:
    """The first rule that fits. Pure."""
    for rule in rules:
        if asked.method not in rule["AllowedMethods"]:
            continue
        if not any(_fits(origin, asked.origin) for origin in rule["AllowedOrigins"]):
            continue
        allowed = [header.lower() for header in rule.get("AllowedHeaders") or []]
        if all(any(_fits(one, header) for one in allowed) for header in asked.headers):
            return rule
    return None


def headers_of(rule: Mapping[str, Any], asked: CrossOrigin) -> list[tuple[str, str]]:
    """What a rule lets a browser do, as headers. Pure."""
    anyone = "*" in rule["AllowedOrigins"]
    found = [
        ("access-control-allow-origin", "*" if anyone else asked.origin),
        ("access-control-allow-methods", ", ".join(rule["AllowedMethods"])),
    ]
    if asked.headers:
        found.append(("access-control-allow-headers", ", ".join(asked.headers)))
    if rule.get("ExposeHeaders"):
        found.append(("access-control-expose-headers", ", ".join(rule["ExposeHeaders"])))
    if "MaxAgeSeconds" in rule:
        found.append(("access-control-max-age", str(rule["MaxAgeSeconds"])))
    if not anyone:
        found.append(("access-control-allow-credentials", "true"))
    found.append(("vary", _VARY))
    return found


def _fits(pattern: str, text: str) -> bool:
    # One `*` is all that a pattern may have; other signs stand for themselves.
    if "*" not in pattern:
        return pattern == text
    return fnmatchcase(text, pattern.replace("[", "[[]").replace("?", "[?]"))
