"""The AWS-managed policies: data, read when somebody asks for one.

Source and date stand in the file, which `tools/import_managed_policies.py` writes.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec


class AwsManaged(msgspec.Struct, frozen=True):
    """One policy of AWS's own."""

    arn: str
    name: str
    path: str
    id: str
    version: str
    created: str
    updated: str
    document: str


class _File(msgspec.Struct):
    source: str
    policies: list[AwsManaged]


@cache
def aws_managed() -> dict[str, AwsManaged]:
    """All policies of AWS's own that we know, by ARN."""
    raw = (files("doppio.data") / "aws_managed_policies.json").read_bytes()
    found = msgspec.json.decode(raw, type=_File)
    return {policy.arn: policy for policy in found.policies}
