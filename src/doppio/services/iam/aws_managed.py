"""The AWS-managed policies: data, read when somebody asks for one.

Source and date stand in the file, which `tools/import_managed_policies.py` writes.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec
from msgspec.structs import replace


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
def aws_managed(partition: str = "aws") -> dict[str, AwsManaged]:
    """All policies of AWS's own that we know, by ARN, as they are in a partition."""
    if partition != "aws":
        there = [_moved(policy, partition) for policy in aws_managed().values()]
        return {policy.arn: policy for policy in there}
    raw = (files("doppio.data") / "aws_managed_policies.json").read_bytes()
    found = msgspec.json.decode(raw, type=_File)
    return {policy.arn: policy for policy in found.policies}


def _moved(policy: AwsManaged, partition: str) -> AwsManaged:
    """A policy with the ARNs of another partition; in what it says, too."""
    begin = f"arn:{partition}:"
    return replace(
        policy,
        arn=policy.arn.replace("arn:aws:", begin),
        document=policy.document.replace("arn:aws:", begin),
    )
