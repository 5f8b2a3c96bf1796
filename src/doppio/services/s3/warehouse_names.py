"""Names of the buckets in which S3 Tables keeps tables. Pure.

Source: "General purpose bucket naming rules": no other bucket may be called so.
"""

from __future__ import annotations

SUFFIX = "--table-s3"


def is_warehouse(name: str) -> bool:
    """Whether a bucket of this name is a table's."""
    return name.endswith(SUFFIX)
