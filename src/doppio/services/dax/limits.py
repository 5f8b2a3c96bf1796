"""Every number that AWS documents for DAX: its API reference, and "Limits in DAX"."""

from __future__ import annotations

from datetime import timedelta

CLUSTER_NAME_CHARS_MAX = 20
GROUP_NAME_CHARS_MAX = 255
NODES_A_CLUSTER_MAX = 11
NODES_AN_ACCOUNT_MAX = 50
PARAMETER_GROUPS_MAX = 20
SUBNET_GROUPS_MAX = 50
SUBNETS_A_GROUP_MAX = 20
LISTED_MIN = 20
LISTED_MAX = 100
PARAMETERS_A_REQUEST_MAX = 20
TTL_MILLIS_DEFAULT = 300_000
MAINTENANCE_MINUTES_MIN = 60
# Events are kept so long; a look back is of one day where nobody says more.
EVENTS_KEPT = timedelta(days=14)
EVENTS_DURATION_DEFAULT = timedelta(hours=24)

# Ours: how long a node takes to start, and to stop.
NODE_STARTS = timedelta(seconds=1)
NODE_STOPS = timedelta(seconds=1)
# Ours: as many expired events are forgotten with each new one.
EVENTS_FORGOTTEN_A_TIME = 20
# Ours: how long a process waits that cannot have a port, before it tries again.
PORT_PAUSE = timedelta(seconds=5)

# Memory in GiB of a node, by its type. Source: "Amazon DynamoDB pricing", nodes of DAX.
_SIZES = {"large": 1, "xlarge": 2, "2xlarge": 4, "4xlarge": 8, "8xlarge": 16}
NODE_MEMORY_GIB: dict[str, float] = {
    "dax.t2.small": 2, "dax.t2.medium": 4, "dax.t3.small": 2, "dax.t3.medium": 4,
    **{f"dax.r4.{size}": 15.25 * times for size, times in {**_SIZES, "16xlarge": 32}.items()},
    **{
        f"dax.{family}.{size}": 16.0 * times
        for family in ("r5", "r6i", "r7i")
        for size, times in {**_SIZES, "12xlarge": 24, "16xlarge": 32, "24xlarge": 48}.items()
    },
}  # fmt: skip
# Ours: this part of a node's memory is its caches, and never more, so that a laptop holds them.
CACHE_PART_OF_MEMORY = 1 / 64
CACHE_BYTES_MAX = 1 << 30
# Ours: what an entry costs beside its content.
ENTRY_BYTES = 256

# The data plane. AWS does not say most of these; a request holds no more than DynamoDB's.
REQUEST_BYTES_MAX = 20 * 1024 * 1024
READ_BYTES = 64 * 1024
CBOR_DEPTH_MAX = 80
CONNECTIONS_A_NODE_MAX = 40_000
# Source of both: "Limits in DAX"; a connection without a word for so long is closed.
IDLE_SECONDS = 300.0
AUTHORIZED_FOR = timedelta(minutes=15)
SKEW = timedelta(minutes=15)
ATTRIBUTE_NAMES_BYTES_MAX = 64 * 1024
ATTRIBUTE_LISTS_KNOWN_MAX = 4_096
SCHEMA_KNOWN_FOR = timedelta(seconds=60)
SCHEMAS_KNOWN_MAX = 1_000
EXPRESSION_DEPTH_MAX = 64
BATCH_GET_KEYS_MAX = 100
# Ours: longer than a century is for ever.
TTL_MILLIS_MAX = 100 * 366 * 24 * 3_600_000
