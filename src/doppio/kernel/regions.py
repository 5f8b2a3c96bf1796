"""Regions and Availability Zones: their names from botocore's endpoint data, and a state each.

A zone is up or down; who takes one down is the operator (`doppio zone`). Zone ids and letters follow
AWS's naming; here a letter means the same zone in every account.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from doppio.kernel.records import record

if TYPE_CHECKING:
    from doppio.kernel.context import Reader, Tx

ZONES_A_REGION = 3
# Source: "AWS Availability Zones" in the documentation of AWS's infrastructure.
ZONES_MORE = {"us-east-1": 6, "us-west-2": 4, "ap-northeast-2": 4}
# How the direction in a Region's name is written in the ids of its zones: us-gov-west-1 is usgw1.
_SHORT = {
    "north": "n", "northeast": "ne", "east": "e", "southeast": "se", "south": "s",
    "southwest": "sw", "west": "w", "northwest": "nw", "central": "c", "gov": "g",
}  # fmt: skip
# More than there are, in all Regions together.
ZONES_MAX = 1_000
# The Regions that every account has from the start; others are to be enabled. Source: "Enable or
# disable AWS Regions in your account".
DEFAULT_REGIONS = frozenset({
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1",
    "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2",
    "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
})  # fmt: skip
_ID = re.compile(r"^(.+)-az([1-6])$")
# Where a partition's global services are: the Region that their requests are signed for. Source:
# `credentialScope` in botocore's endpoint data, of IAM.
HOMES = {
    "aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1",
    "aws-iso": "us-iso-east-1", "aws-iso-b": "us-isob-east-1", "aws-iso-e": "eu-isoe-west-1",
    "aws-iso-f": "us-isof-south-1", "aws-eusc": "eusc-de-east-1",
}  # fmt: skip


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


def home_of(region: str) -> str:
    """The Region in which the global services of a Region's partition are."""
    return HOMES[partition_of(region)]


def zones(region: str) -> list[str]:
    """Names of a Region's Availability Zones."""
    count = ZONES_MORE.get(region, ZONES_A_REGION)
    return [region + "abcdef"[number] for number in range(count)]


def zone_id(zone: str) -> str:
    """The id of a zone: use1-az1 of us-east-1a."""
    return f"{_stem(zone[:-1])}-az{'abcdef'.index(zone[-1]) + 1}"


def zone_of_id(region: str, name: str) -> str | None:
    """The zone of a Region that has this id; None where it has none."""
    found = _ID.match(name)
    if found is None or found[1] != _stem(region):
        return None
    zone = region + "abcdef"[int(found[2]) - 1]
    return zone if zone in zones(region) else None


def zone_for(region: str, name: str) -> str:
    """The one zone in which something of this name lies: for ever the same."""
    places = zones(region)
    digest = hashlib.blake2b(name.encode(), digest_size=4).digest()
    return places[int.from_bytes(digest) % len(places)]


async def is_up(reader: Reader, zone: str) -> bool:
    """Whether a zone works."""
    found = await reader.get(ZoneState, zone)
    return found is None or found.state == "up"


async def region_is_up(reader: Reader, region: str) -> bool:
    """Whether any zone of a Region works."""
    for zone in zones(region):
        if await is_up(reader, zone):
            return True
    return False


async def zones_down(reader: Reader) -> list[str]:
    """The zones that do not work, in all Regions."""
    found = await reader.list(ZoneState, limit=ZONES_MAX)
    return [one.name for one in found if one.state == "down"]


def set_zone(tx: Tx, name: str, state: Literal["up", "down"]) -> None:
    """Take a zone down, or up again; being so already is no error. ValueError if there is none."""
    if name[:-1] not in regions() or name not in zones(name[:-1]):
        raise ValueError(f"{name!r} is no Availability Zone")
    tx.put(ZoneState(name=name, state=state))


@lru_cache(maxsize=256)
def _stem(region: str) -> str:
    first, *directions, number = region.split("-")
    return first + "".join(_SHORT.get(word, word) for word in directions) + number
