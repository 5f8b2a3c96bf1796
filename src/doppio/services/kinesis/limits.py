"""Every number that AWS documents for Kinesis Data Streams, with its unit last in the name.

Source: "Quotas and limits" in the Kinesis Data Streams developer guide, and the service model.
"""

from __future__ import annotations

from datetime import timedelta

from doppio.kernel.quotas import Quota

SHARDS_MAX = Quota("kinesis", "L-5A5CFE9C", "Shards per Region", 20_000)
ON_DEMAND_STREAMS_MAX = 50
ON_DEMAND_SHARDS = 4
SHARDS_A_STREAM_MAX = 10_000
SCALINGS_A_DAY = 10
MODE_CHANGES_A_DAY = 2
RETENTION_HOURS = 24
RETENTION_HOURS_MAX = 8_760
KEY_CHARS_MAX = 256
RECORD_KIB = 1_024
PUT_BYTES_MAX = 10 * 1024 * 1024
RECORDS_A_PAGE = 10_000
PAGE_BYTES_MAX = 10 * 1024 * 1024
STREAMS_A_PAGE = 100
SHARDS_A_DESCRIPTION = 100
SHARDS_A_PAGE = 1_000
CONSUMERS_A_PAGE = 100
CONSUMERS_MAX = 20
TAGS_A_PAGE = 50
ITERATOR_LIFE = timedelta(minutes=5)
SUBSCRIPTION_LIFE = timedelta(minutes=5)
# A second subscription within this long is refused; later it takes over.
SUBSCRIPTION_HELD = timedelta(seconds=5)
# A subscription to which nothing comes says so this often.
PULSE = timedelta(seconds=5)
PAYLOAD_UNIT_BYTES = 25 * 1024
POLICY_BYTES_MAX = 20 * 1024
DATA_KEY_REUSE = timedelta(minutes=5)
# How often old records go, and shards are metered.
UPKEEP_EVERY = timedelta(hours=1)
# How long a description waits for a change that is under way.
DESCRIBE_WAIT = timedelta(milliseconds=500)
ROWS_A_COMMIT = 500
ROWS_A_READ = 500
