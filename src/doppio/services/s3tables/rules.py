"""S3 Tables' decisions, pure: no clock, no store, nothing awaited."""

from __future__ import annotations

import re
from typing import NamedTuple

_BUCKET_ARN = re.compile(
    r"arn:aws[-a-z0-9]*:s3tables:([-a-z0-9]+):([0-9]{12}):bucket/([a-z0-9-]{3,63})"
)
_TABLE_ARN = re.compile(rf"({_BUCKET_ARN.pattern})/table/([a-zA-Z0-9-_]{{1,255}})")
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,253}[a-z0-9]|[a-z0-9]")
# Source: "Amazon S3 table bucket, table, and namespace naming rules".
_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo", "aws")
_SUFFIXES = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3")
_METADATA_ENDS = (".metadata.json", ".metadata.json.gz")


class Place(NamedTuple):
    """A bucket of tables, as an ARN names it, and the table in it."""

    region: str
    account: str
    bucket: str
    table: str = ""


def place_of(arn: str) -> Place | None:
    """What the ARN of a table bucket, or of a table, names; None where it is neither's."""
    found = _BUCKET_ARN.fullmatch(arn)
    if found is not None:
        return Place(*found.groups())
    found = _TABLE_ARN.fullmatch(arn)
    return None if found is None else Place(*found.groups()[1:])


def bucket_arn_of(arn: str) -> str:
    """The ARN of the bucket in which a table lies, by the table's; a bucket's own is itself."""
    return arn.partition("/table/")[0]


def bucket_name_is_allowed(name: str, *, of_aws: bool) -> bool:
    """Whether a new table bucket may be called so; what begins with `aws` is AWS's own."""
    if _BUCKET_NAME.fullmatch(name) is None or name.endswith(_SUFFIXES):
        return False
    return name.startswith("aws") if of_aws else not name.startswith(_PREFIXES)


def namespace_is_allowed(name: str, *, of_aws: bool) -> bool:
    """Whether a new namespace may be called so."""
    return _NAME.fullmatch(name) is not None and (of_aws or not name.startswith("aws"))


def table_name_is_allowed(name: str) -> bool:
    """Whether a new table may be called so."""
    return _NAME.fullmatch(name) is not None


def warehouse_name(table_id: str, end: str) -> str:
    """The name of a table's warehouse, made of the table's id."""
    return f"{table_id}{end}"


def location_problem(location: str, warehouse: str) -> str | None:
    """What is wrong with the location of metadata; None if it may be a table's."""
    if not location.startswith(f"s3://{warehouse}/"):
        return "The metadata location must begin with the table's warehouse location."
    if not location.endswith(_METADATA_ENDS):
        return "The metadata location must end with .metadata.json or .metadata.json.gz."
    return None


def key_of(location: str, warehouse: str) -> str:
    """The key of the object at a location in a warehouse."""
    return location.removeprefix(f"s3://{warehouse}/")
