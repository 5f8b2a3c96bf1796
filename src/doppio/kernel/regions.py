"""Regions and Availability Zones: their names from botocore's endpoint data, and a state each.

A zone is up or down; who takes one down is the operator. Zone ids and letters follow AWS's
naming; three zones a Region.
"""

from __future__ import annotations

import importlib.util
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from doppio.kernel.records import record

ZONES_A_REGION = 3


class _Region(msgspec.Struct):
    description: str = ""


class _Partition(msgspec.Struct):
    partition: str
    regions: dict[str, _Region]


class _Endpoints(msgspec.Struct):
    partitions: list[_Partition]


class Region(msgspec.Struct, frozen=True):
    """One Region of AWS's."""

    name: str
    partition: str
    description: str


@record("kernel.zone", key=("name",))
class ZoneState(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator said of an Availability Zone; a zone without a record is up."""

    name: str
    state: Literal["up", "down"] = "up"


@cache
def regions() -> dict[str, Region]:
    """All Regions by name."""
    spec = importlib.util.find_spec("botocore")
    assert spec is not None, "botocore is a dependency"
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "data" / "endpoints.json").read_bytes()
    data = msgspec.json.decode(text, type=_Endpoints)
    return {
        name: Region(name, part.partition, region.description)
        for part in data.partitions
        for name, region in part.regions.items()
    }


@lru_cache(maxsize=1_024)
def partition_of(region: str) -> str:
    """The partition a Region lies in, by its name alone (no file is read for the usual ones)."""
    if region.startswith("cn-"):
        return "aws-cn"
    if region.startswith("us-gov-"):
        return "aws-us-gov"
    if region.startswith(("us-iso", "eu-iso", "eusc-")):
        return regions()[region].partition if region in regions() else "aws"
    return "aws"


def zones(region: str) -> list[str]:
    """Names of a Region's Availability Zones."""
    return [region + "abcdef"[number] for number in range(ZONES_A_REGION)]
