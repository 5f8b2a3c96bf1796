"""DAX's decisions, pure: no clock, no store, nothing awaited."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from doppio.services.dax import limits
from doppio.services.dax.errors import (
    InvalidParameterValue,
    InvalidSubnet,
    NodeNotFound,
    SubnetQuotaExceeded,
)
from doppio.services.dax.records import Cluster, Node

DEFAULT_PARAMETERS = "default.dax1.0"
DEFAULT_SUBNETS = "default"
# The parameters that there are, with DAX's own descriptions of them.
PARAMETERS = {
    "query-ttl-millis": "Duration in milliseconds for queries to remain cached",
    "record-ttl-millis": (
        "Duration in milliseconds for records to remain valid in cache (Default: 0 = infinite)"
    ),
}
_NAME = re.compile(r"[a-z](?:-?[a-z0-9])*")
_GROUP = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9.])*")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8}(?:[0-9a-f]{9})?")
_SECURITY_GROUP = re.compile(r"sg-[0-9a-f]{8}(?:[0-9a-f]{9})?")
_ROLE = re.compile(r"arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+")
_TOPIC = re.compile(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w.-]+")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"(\w{3}):([01]\d|2[0-3]):([0-5]\d)-(\w{3}):([01]\d|2[0-3]):([0-5]\d)")
_WEEK_MINUTES = 7 * 24 * 60
_HOUR = timedelta(hours=1)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def cluster_name(given: str) -> str:
    """A cluster's name as it is kept: in lower case. Raises InvalidParameterValueException."""
    name = given.lower()
    if len(name) > limits.CLUSTER_NAME_CHARS_MAX or not _NAME.fullmatch(name):
        raise InvalidParameterValue(
            f"Invalid cluster name: {given}. Cluster names must contain from 1 to "
            f"{limits.CLUSTER_NAME_CHARS_MAX} alphanumeric characters or hyphens, begin with a "
            "letter, and not end with a hyphen or contain two consecutive hyphens."
        )
    return name


def group_name(given: str) -> str:
    """The name of a parameter or subnet group. Raises InvalidParameterValueException."""
    if len(given) > limits.GROUP_NAME_CHARS_MAX or not _GROUP.fullmatch(given):
        raise InvalidParameterValue(f"Invalid group name: {given}")
    return given


def check_node_type(given: str) -> str:
    """A type of node that there is. Raises InvalidParameterValueException."""
    if given not in limits.NODE_MEMORY_GIB:
        raise InvalidParameterValue(f"Invalid node type: {given}")
    return given


def cache_bytes(node_type: str) -> int:
    """How many bytes the caches of a node hold, items and queries together."""
    memory = limits.NODE_MEMORY_GIB[node_type] * (1 << 30)
    return min(int(memory * limits.CACHE_PART_OF_MEMORY), limits.CACHE_BYTES_MAX)


def subnets(given: Iterable[str]) -> list[str]:
    """Ids of subnets, which look like AWS's. Raises InvalidSubnet, SubnetQuotaExceededFault."""
    listed = list(dict.fromkeys(given))
    if not listed:
        raise InvalidSubnet("At least one subnet is required.")
    if len(listed) > limits.SUBNETS_A_GROUP_MAX:
        raise SubnetQuotaExceeded()
    for one in listed:
        if not _SUBNET.fullmatch(one):
            raise InvalidSubnet(f"An invalid subnet identifier was specified: {one}")
    return listed


def security_groups(given: Iterable[str]) -> list[str]:
    """Ids of security groups, which look like AWS's. Raises InvalidParameterValueException."""
    listed = list(dict.fromkeys(given))
    for one in listed:
        if not _SECURITY_GROUP.fullmatch(one):
            raise InvalidParameterValue(f"Invalid security group: {one}")
    return listed


def check_role(given: str) -> str:
    """A role's ARN. Raises InvalidParameterValueException."""
    if not _ROLE.fullmatch(given):
        raise InvalidParameterValue(f"Invalid role ARN: {given}")
    return given


def check_topic(given: str, account: str) -> str:
    """The ARN of a topic of the account's. Raises InvalidParameterValueException."""
    if not _TOPIC.fullmatch(given) or given.split(":")[4] != account:
        raise InvalidParameterValue(f"Invalid notification topic ARN: {given}")
    return given


def maintenance(given: str) -> str:
    """A weekly window of an hour or more. Raises InvalidParameterValueException."""
    found = _WINDOW.fullmatch(given.lower())
    if found is None or found[1] not in _DAYS or found[4] not in _DAYS:
        raise InvalidParameterValue(f"Invalid preferred maintenance window: {given}")
    begin, end = (
        (_DAYS.index(found[at]) * 24 + int(found[at + 1])) * 60 + int(found[at + 2])
        for at in (1, 4)
    )
    if (end - begin) % _WEEK_MINUTES < limits.MAINTENANCE_MINUTES_MIN:
        raise InvalidParameterValue(
            f"Invalid preferred maintenance window: {given}. It must be at least 60 minutes long."
        )
    return given.lower()


def window_of(chance: float) -> str:
    """A window for who names none: an hour of the week, by chance."""
    hour = int(chance * 7 * 24)
    after = (hour + 1) % (7 * 24)
    return "-".join(f"{_DAYS[one // 24]}:{one % 24:02}:00" for one in (hour, after))


def parameters(given: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Values of parameters, by name. Raises InvalidParameterValueException."""
    found: dict[str, int] = {}
    for one in given:
        name, value = one.get("ParameterName", ""), one.get("ParameterValue", "")
        if name not in PARAMETERS:
            raise InvalidParameterValue(f"Invalid parameter name: {name}")
        if not (value.isascii() and value.isdigit()) or len(value) > 18:
            raise InvalidParameterValue(f"Invalid value for parameter {name}: {value}")
        found[name] = int(value)
    return found


def new_node_ids(cluster: str, there: Iterable[str], count: int) -> list[str]:
    """Ids for new nodes: a cluster's name and the first letters that no other node has."""
    taken = set(there)
    free = [one for letter in _LETTERS if (one := f"{cluster}-{letter}") not in taken]
    return free[:count]


def spread(zones: Sequence[str], there: Sequence[Node], count: int) -> list[str]:
    """Zones for new nodes: each where the fewest are."""
    filled = {zone: sum(one.zone == zone for one in there) for zone in zones}
    chosen: list[str] = []
    for _ in range(count):
        zone = min(zones, key=lambda one: (filled[one], one))
        filled[zone] += 1
        chosen.append(zone)
    return chosen


def zones_among(known: Sequence[str], wanted: Sequence[str] | None) -> Sequence[str]:
    """Where new nodes may be: in any zone, unless some are wanted. Raises InvalidParameterValue…"""
    for zone in wanted or ():
        if zone not in known:
            raise InvalidParameterValue(f"Invalid Availability Zone: {zone}")
    return wanted or known


def zones_of_first(known: Sequence[str], count: int, wanted: Sequence[str] | None) -> list[str]:
    """The zones of a new cluster's nodes. Raises InvalidParameterValueException."""
    among = zones_among(known, wanted)
    if not wanted:
        return spread(among, (), count)
    if len(wanted) != count:
        raise InvalidParameterValue(
            "The number of Availability Zones must equal the replication factor."
        )
    return list(wanted)


def paid(node: Node, now: datetime) -> Node:
    """A node whose hours are counted up to now: each counts when it begins."""
    until = node.paid_until or now
    if now < until:
        return node
    return replace(node, paid_until=until + (int((now - until) / _HOUR) + 1) * _HOUR)


def leaving(cluster: Cluster, count: int, ids: Sequence[str], zones: Sequence[str]) -> list[str]:
    """Which nodes leave a cluster. Raises NodeNotFoundFault, InvalidParameterValueException.

    Where nobody says which, those go that came last.
    """
    there = [one.id for one in cluster.nodes]
    if ids:
        for one in ids:
            if one not in there:
                raise NodeNotFound(f"Node not found: {one}")
        if len(set(ids)) != count:
            raise InvalidParameterValue(
                "The number of nodes to remove does not match the new replication factor."
            )
        return list(ids)
    if zones:
        chosen = [one.id for one in reversed(cluster.nodes) if one.zone in zones][:count]
        if len(chosen) < count:
            raise InvalidParameterValue(
                "There are fewer nodes in these Availability Zones than are to be removed."
            )
        return chosen
    return there[len(there) - count :]
