"""Lifecycle rules: what they may say, and what they want done with a version. Pure.

Source: "Lifecycle configuration elements" and "General considerations for transitions" in the S3
user guide. Days are counted from the midnight (UTC) after a version came or was hidden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from doppio.services.s3.errors import InvalidArgument, InvalidRequest, MalformedXML
from doppio.services.s3.limits import (
    LIFECYCLE_RULES_MAX,
    RULE_ID_CHARS_MAX,
    TRANSITION_BYTES_MIN,
)
from doppio.services.s3.records import Version

# From the first to the last, objects only move on.
ORDER = (
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA",
    "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE",
)  # fmt: skip
_TARGETS = frozenset(ORDER[2:])
_AFTER_THIRTY_DAYS = frozenset({"STANDARD_IA", "ONEZONE_IA"})
_DAY = timedelta(days=1)


class Filter(NamedTuple):
    """Which versions a rule is about."""

    prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    larger: int | None = None
    smaller: int | None = None

    def takes(self, version: Version) -> bool:
        """Whether the rule is about this version."""
        return (
            version.key.startswith(self.prefix)
            and all(version.tags.get(key) == value for key, value in self.tags)
            and (self.larger is None or version.size > self.larger)
            and (self.smaller is None or version.size < self.smaller)
        )


class Move(NamedTuple):
    """What a rule wants: `None` as class is the end."""

    storage_class: str | None
    at: datetime


def filter_of(rule: Mapping[str, Any]) -> Filter:
    """A rule's filter."""
    if "Prefix" in rule:
        return Filter(rule["Prefix"] or "")
    given = rule.get("Filter") or {}
    both = given.get("And") or given
    tags = both.get("Tags") or ([both["Tag"]] if "Tag" in both else [])
    return Filter(
        both.get("Prefix") or "",
        tuple((tag["Key"], tag.get("Value", "")) for tag in tags),
        both.get("ObjectSizeGreaterThan"),
        both.get("ObjectSizeLessThan"),
    )


def due(since: datetime, days: int) -> datetime:
    """When an action after so many days is due: at the midnight after them."""
    whole = since + timedelta(days=days)
    midnight = whole.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == whole else midnight + _DAY


def current_move(
    rules: Sequence[Mapping[str, Any]], version: Version, now: datetime, sizes: str
) -> Move | None:
    """What is due for a current version: its end if that has come, else the last move due."""
    moves: list[Move] = []
    for rule in rules:
        if not filter_of(rule).takes(version):
            continue
        at = _moment(rule.get("Expiration") or {}, version.modified)
        if at is not None and at <= now:
            return Move(None, at)
        for transition in rule.get("Transitions") or []:
            moment = _moment(transition, version.modified)
            if moment is not None:
                moves.append(Move(transition["StorageClass"], moment))
    return _last(moves, version, now, sizes)


def noncurrent_move(
    rules: Sequence[Mapping[str, Any]],
    version: Version,
    hidden_at: datetime,
    newer: int,
    now: datetime,
    sizes: str,
) -> Move | None:
    """What is due for a version that another has hidden; `newer` hidden ones are newer than it."""
    moves: list[Move] = []
    for rule in rules:
        if not filter_of(rule).takes(version):
            continue
        end = rule.get("NoncurrentVersionExpiration") or {}
        if "NoncurrentDays" in end and newer >= (end.get("NewerNoncurrentVersions") or 0):
            at = due(hidden_at, end["NoncurrentDays"])
            if at <= now:
                return Move(None, at)
        for transition in rule.get("NoncurrentVersionTransitions") or []:
            if newer >= (transition.get("NewerNoncurrentVersions") or 0):
                at = due(hidden_at, transition["NoncurrentDays"])
                moves.append(Move(transition["StorageClass"], at))
    return _last(moves, version, now, sizes)


def removes_lone_markers(
    rules: Sequence[Mapping[str, Any]], marker: Version, now: datetime
) -> bool:
    """Whether a delete marker that hides nothing any more is to go."""
    for rule in rules:
        end = rule.get("Expiration") or {}
        if not marker.key.startswith(filter_of(rule).prefix):
            continue
        if end.get("ExpiredObjectDeleteMarker"):
            return True
        at = _moment(end, marker.modified)
        if "Days" in end and at is not None and at <= now:
            return True
    return False


def upload_ends_at(
    rules: Sequence[Mapping[str, Any]], key: str, started: datetime
) -> datetime | None:
    """When an upload that was not completed is given up; None: never."""
    ends = [
        due(started, rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"])
        for rule in rules
        if rule.get("AbortIncompleteMultipartUpload") and key.startswith(filter_of(rule).prefix)
    ]
    return min(ends, default=None)


def expiry(rules: Sequence[Mapping[str, Any]], version: Version) -> tuple[datetime, str] | None:
    """When a current version will end, and by which rule: the x-amz-expiration header."""
    ends = [
        (at, rule["ID"])
        for rule in rules
        if filter_of(rule).takes(version)
        and (at := _moment(rule.get("Expiration") or {}, version.modified)) is not None
    ]
    return min(ends, default=None)


def enabled(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rules that are on."""
    return [rule for rule in document["Rules"] if rule["Status"] == "Enabled"]


def _moment(action: Mapping[str, Any], since: datetime) -> datetime | None:
    if "Days" in action:
        return due(since, action["Days"])
    date: datetime | None = action.get("Date")
    return date


def _last(moves: list[Move], version: Version, now: datetime, sizes: str) -> Move | None:
    ready = [
        move
        for move in moves
        if move.at <= now
        and _rank(move.storage_class) > _rank(version.storage_class)
        and _large_enough(version, move.storage_class, sizes)
    ]
    return max(ready, key=lambda move: _rank(move.storage_class), default=None)


def _rank(storage_class: str | None) -> int:
    return ORDER.index(storage_class) if storage_class in ORDER else -1


def _large_enough(version: Version, target: str | None, sizes: str) -> bool:
    """By default nothing below 128 KiB moves; the older default let it move to the archives."""
    if version.size >= TRANSITION_BYTES_MIN:
        return True
    return sizes == "varies_by_storage_class" and target in {"GLACIER", "DEEP_ARCHIVE"}


# What a configuration may say.


def check(document: Mapping[str, Any]) -> None:
    """Raise S3's refusal of rules that cannot be."""
    rules = document.get("Rules") or []
    if not rules:
        raise MalformedXML
    if len(rules) > LIFECYCLE_RULES_MAX:
        raise InvalidRequest(
            "The number of lifecycle rules must not exceed the allowed limit of 1000 rules"
        )
    ids = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(set(ids)) < len(ids):
        raise InvalidArgument("Rule ID must be unique. Found same ID for more than one rule")
    if len({"Prefix" in rule for rule in rules}) > 1:
        raise InvalidRequest(
            "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the "
            "Filter."
        )
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: Mapping[str, Any]) -> None:
    if len(rule.get("ID") or "") > RULE_ID_CHARS_MAX:
        raise InvalidArgument("ID length should not exceed allowed limit of 255")
    if rule["Status"] not in {"Enabled", "Disabled"} or not ("Prefix" in rule or "Filter" in rule):
        raise MalformedXML
    _check_filter(rule)
    actions = (
        "Expiration", "Transitions", "NoncurrentVersionExpiration", "NoncurrentVersionTransitions",
        "AbortIncompleteMultipartUpload",
    )  # fmt: skip
    if not any(rule.get(name) for name in actions):
        raise InvalidRequest("At least one action needs to be specified in a rule.")
    _check_expiration(rule)
    _check_transitions(rule)
    abort = rule.get("AbortIncompleteMultipartUpload")
    if abort:
        if filter_of(rule).tags:
            raise InvalidRequest("AbortIncompleteMultipartUpload cannot be specified with Tags.")
        _positive(abort.get("DaysAfterInitiation"), "AbortIncompleteMultipartUpload")


def _check_filter(rule: Mapping[str, Any]) -> None:
    given = rule.get("Filter") or {}
    if len(given) > 1:
        raise MalformedXML
    wanted = filter_of(rule)
    if len({key for key, _ in wanted.tags}) < len(wanted.tags):
        raise InvalidRequest("Duplicate Tag Keys are not allowed.")
    if wanted.larger is not None and wanted.smaller is not None and wanted.larger >= wanted.smaller:
        raise InvalidRequest("'ObjectSizeGreaterThan' should be less than 'ObjectSizeLessThan'")


def _check_expiration(rule: Mapping[str, Any]) -> None:
    end = rule.get("Expiration")
    if end is not None:
        said = [name for name in ("Days", "Date", "ExpiredObjectDeleteMarker") if name in end]
        if len(said) != 1:
            raise MalformedXML
        if "Days" in end:
            _positive(end["Days"], "Expiration")
        if "Date" in end:
            _midnight(end["Date"])
        if end.get("ExpiredObjectDeleteMarker") and filter_of(rule).tags:
            raise InvalidRequest("ExpiredObjectDeleteMarker cannot be specified with Tags.")
    later = rule.get("NoncurrentVersionExpiration")
    if later is not None:
        _positive(later.get("NoncurrentDays"), "NoncurrentVersionExpiration")


def _check_transitions(rule: Mapping[str, Any]) -> None:
    seen: set[str] = set()
    for transition in rule.get("Transitions") or []:
        target = transition.get("StorageClass")
        if target not in _TARGETS or ("Days" in transition) == ("Date" in transition):
            raise MalformedXML
        if target in seen:
            raise InvalidRequest(
                "'StorageClass' must be different for 'Transition' actions in same 'Rule' with "
                f"filter '{filter_of(rule).prefix}'"
            )
        seen.add(target)
        if "Date" in transition:
            _midnight(transition["Date"])
            continue
        days = transition["Days"]
        if days < 0:
            raise InvalidArgument("'Days' in Transition action must be nonnegative")
        if target in _AFTER_THIRTY_DAYS and days < 30:
            raise InvalidArgument(
                f"'Days' in Transition action must be greater than or equal to 30 for storageClass "
                f"'{target}'"
            )
        end = (rule.get("Expiration") or {}).get("Days")
        if end is not None and end <= days:
            raise InvalidArgument(
                "'Days' in the Expiration action for filter "
                f"'(prefix={filter_of(rule).prefix})' must be greater than 'Days' in the "
                "Transition action"
            )
    for transition in rule.get("NoncurrentVersionTransitions") or []:
        if transition.get("StorageClass") not in _TARGETS or "NoncurrentDays" not in transition:
            raise MalformedXML
        if transition["StorageClass"] in _AFTER_THIRTY_DAYS and transition["NoncurrentDays"] < 30:
            raise InvalidArgument(
                "'NoncurrentDays' in NoncurrentVersionTransition action must be greater than or "
                f"equal to 30 for storageClass '{transition['StorageClass']}'"
            )


def _positive(days: int | None, action: str) -> None:
    if days is None:
        raise MalformedXML
    if days < 1:
        raise InvalidArgument(f"'Days' for {action} action must be a positive integer")


def _midnight(date: datetime) -> None:
    if date.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) != date:
        raise InvalidArgument("'Date' must be at midnight GMT")
