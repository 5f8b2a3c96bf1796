"""What DAX stores: clusters with their nodes, groups, events, and lists of attributes' names.

What the caches hold is a copy of what DynamoDB has, in memory, and lost with the process.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from doppio.kernel.events import Event
from doppio.kernel.records import record


class ClusterChanged(Event, frozen=True, kw_only=True):
    """Something else is wanted of a cluster."""


class Node(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node. While its status is on the move, `at` is when it will have moved.

    `port` is where it listens, 0 as long as it never did; `paid_until` how far its hours are
    counted.
    """

    id: str
    zone: str
    created_at: datetime
    status: str = "creating"
    at: datetime | None = None
    port: int = 0
    paid_until: datetime | None = None


@record("dax.cluster", key=("account", "region", "name"))
class Cluster(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A cluster. `uid` tells it from one of the same name that was there before.

    Clients ask for its nodes at `port`.
    """

    account: str
    region: str
    name: str
    partition: str
    uid: str
    created_at: datetime
    node_type: str
    role: str
    parameter_group: str
    subnet_group: str
    maintenance: str
    status: str = "creating"
    description: str | None = None
    nodes: list[Node] = []
    security_groups: list[str] = []
    topic: str | None = None
    topic_status: str = "active"
    encrypted: bool = False
    tls: bool = False
    tags: dict[str, str] = {}
    port: int = 0

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:dax:{self.region}:{self.account}:cache/{self.name}"


@record("dax.parameter_group", key=("account", "region", "name"))
class ParameterGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Values of parameters, by name; those that were never given are DAX's own."""

    account: str
    region: str
    name: str
    description: str | None = None
    values: dict[str, int] = {}


@record("dax.subnet_group", key=("account", "region", "name"))
class SubnetGroup(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Subnets in which nodes may be."""

    account: str
    region: str
    name: str
    subnets: list[str]
    description: str | None = None


@record("dax.happening", key=("account", "region", "at", "id"))
class Happening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened to a cluster, as DescribeEvents tells it."""

    account: str
    region: str
    at: datetime
    id: str
    source: str
    kind: str
    message: str


@record("dax.attribute_list", key=("cluster", "number"))
class AttributeList(msgspec.Struct, frozen=True, kw_only=True):
    """Names of attributes that items of a cluster's clients have, in order, by a number.

    Clients keep the number for as long as they live, so it means the same for ever.
    """

    cluster: str
    number: int
    names: list[str]


@record("dax.attribute_list_number", key=("cluster", "digest"))
class AttributeListNumber(msgspec.Struct, frozen=True, kw_only=True):
    """The number of a list, by the digest of its names."""

    cluster: str
    digest: bytes
    number: int


@record("dax.attribute_lists", key=("cluster",))
class AttributeLists(msgspec.Struct, frozen=True, kw_only=True):
    """The last number that a cluster has given to a list."""

    cluster: str
    last: int
