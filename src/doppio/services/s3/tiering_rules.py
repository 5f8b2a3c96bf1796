"""Intelligent-Tiering as pure functions: in which tier a version is due to be, and what may be set.

Source: "How S3 Intelligent-Tiering works" in the user guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from doppio.services.s3.errors import InvalidArgument, MalformedXML
from doppio.services.s3.limits import ARCHIVE_DAYS, DEEP_ARCHIVE_DAYS, TIERED_BYTES_MIN
from doppio.services.s3.records import Version

CLASS = "INTELLIGENT_TIERING"
# The tiers from the most to the least accessible; the first has no name of its own in records.
FREQUENT, INFREQUENT, INSTANT, ARCHIVE, DEEP = TIERS = ("", "IA", "AIA", "AA", "DAA")
ACCESS_TIERS = {ARCHIVE: "ARCHIVE_ACCESS", DEEP: "DEEP_ARCHIVE_ACCESS"}
# What restoring from a tier takes is what restoring from such a class takes.
AS_CLASS = {ARCHIVE: "GLACIER", DEEP: "DEEP_ARCHIVE"}
_DAYS = {"ARCHIVE_ACCESS": ARCHIVE_DAYS, "DEEP_ARCHIVE_ACCESS": DEEP_ARCHIVE_DAYS}
_INFREQUENT_AFTER = timedelta(days=30)
_INSTANT_AFTER = timedelta(days=90)
# A day of not being accessed is begun anew once a day at most, not by each access.
_DAY = timedelta(days=1)


class Plan(NamedTuple):
    """One configuration that is on: which objects it archives, and after how many days, by tier."""

    prefix: str
    tags: dict[str, str]
    days: dict[str, int]


def check(document: Mapping[str, Any]) -> None:
    """Raise MalformedXML or InvalidArgument for a configuration that cannot be."""
    if document["Status"] not in {"Enabled", "Disabled"}:
        raise MalformedXML
    given = document.get("Filter")
    if given is not None and len(given) != 1:
        raise MalformedXML
    tierings = document.get("Tierings") or []
    names = [one["AccessTier"] for one in tierings]
    if not names or len(set(names)) < len(names) or not _DAYS.keys() >= set(names):
        raise MalformedXML
    for one in tierings:
        least, most = _DAYS[one["AccessTier"]]
        if not least <= one["Days"] <= most:
            raise InvalidArgument(
                f"Days for {one['AccessTier']} must be between {least} and {most}",
                ArgumentName="Days",
                ArgumentValue=str(one["Days"]),
            )


def plans(documents: Iterable[Mapping[str, Any]]) -> list[Plan]:
    """The configurations that are on."""
    return [_plan(one) for one in documents if one["Status"] == "Enabled"]


def _plan(document: Mapping[str, Any]) -> Plan:
    given = document.get("Filter") or {}
    both = given.get("And") or {}
    tags = {tag["Key"]: tag["Value"] for tag in both.get("Tags") or []}
    if given.get("Tag"):
        tags[given["Tag"]["Key"]] = given["Tag"]["Value"]
    names = {access: tier for tier, access in ACCESS_TIERS.items()}
    days = {names[one["AccessTier"]]: one["Days"] for one in document["Tierings"]}
    return Plan(given.get("Prefix") or both.get("Prefix") or "", tags, days)


def moves(version: Version) -> bool:
    """Whether a version is one that moves among tiers at all: small ones stay where they are."""
    return (
        version.storage_class == CLASS and version.size >= TIERED_BYTES_MIN and not version.marker
    )


def tier_of(version: Version) -> str:
    """The tier in which a version lies."""
    return FREQUENT if version.more is None else version.more.tier


def accessed_at(version: Version) -> datetime:
    """When a version was last accessed, to the day: its coming was an access."""
    more = version.more
    if more is None:
        return version.modified
    return more.accessed or more.moved or version.modified


def due(version: Version, found: Iterable[Plan], now: datetime) -> str:
    """The tier in which a version is to be now. It goes down by itself, and never up."""
    idle = now - accessed_at(version)
    wanted = INSTANT if idle >= _INSTANT_AFTER else FREQUENT
    if _INFREQUENT_AFTER <= idle < _INSTANT_AFTER:
        wanted = INFREQUENT
    for plan in found:
        if version.key.startswith(plan.prefix) and plan.tags.items() <= version.tags.items():
            reached = [tier for tier, days in plan.days.items() if idle >= timedelta(days=days)]
            wanted = max([wanted, *reached], key=TIERS.index)
    return max(wanted, tier_of(version), key=TIERS.index)


def is_news(version: Version, now: datetime) -> bool:
    """Whether an access to a readable version changes what is known of it."""
    if not moves(version) or (version.more is not None and version.more.restored is not None):
        # What is being restored is accessed then, and its end tells so.
        return False
    return tier_of(version) != FREQUENT or now - accessed_at(version) >= _DAY
