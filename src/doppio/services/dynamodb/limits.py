"""Every number that AWS documents for DynamoDB: "Quotas in Amazon DynamoDB" and the API reference."""

from __future__ import annotations

from datetime import timedelta

from doppio.kernel.quotas import Quota

ITEM_BYTES_MAX = 409_600
HASH_KEY_BYTES_MAX = 2_048
RANGE_KEY_BYTES_MAX = 1_024
NESTING_MAX = 32
NUMBER_DIGITS_MAX = 38
PAGE_BYTES_MAX = 1_048_576
# How much of a table a scan of one segment passes over before its page ends.
LOOKED_BYTES_MAX = 4 * PAGE_BYTES_MAX
BATCH_GET_MAX = 100
BATCH_GET_BYTES_MAX = 16 * 1_048_576
BATCH_WRITE_MAX = 25
TRANSACT_MAX = 100
TRANSACT_BYTES_MAX = 4 * 1_048_576
EXPRESSION_BYTES_MAX = 4_096
EXPRESSION_OPERATORS_MAX = 300
IN_OPERANDS_MAX = 100
# PartiQL's IN, where it names partition keys.
IN_HASH_KEYS_MAX = 50
GLOBAL_INDEXES_MAX = 20
LOCAL_INDEXES_MAX = 5
COLLECTION_BYTES_MAX = 10 * 2**30
# Vectors. The first is AWS's, and the greatest 32-bit float; how many indexes and results there may be
# AWS does not say: those are ours.
DIMENSIONS_MAX = 4_096
FLOAT32_MAX = 3.4028234663852886e38
VECTOR_INDEXES_MAX = 20
TOP_K_MAX = 1_000
# Fewer are looked at on the spot, more in a thread.
VECTORS_AT_ONCE = 64
# A global index's hash key has so many attributes at most, and its range key as many.
INDEX_KEY_PARTS_MAX = 4
PROJECTED_ATTRIBUTES_MAX = 100
TABLE_NAME_CHARS_MIN = 3
TABLE_NAME_CHARS_MAX = 255
LIST_TABLES_MAX = 100
SEGMENTS_MAX = 1_000_000
READ_UNIT_BYTES = 4_096
WRITE_UNIT_BYTES = 1_024
TAGS_A_PAGE = 10
POLICY_BYTES_MAX = 20_480
RESOURCE_TAGS_MAX = 50
DECREASES_A_DAY = 4
DECREASE_EVERY = timedelta(hours=1)
# Realistic throughput. Source: "Best practices for designing partition keys", "On-demand capacity".
BURST_SECONDS = 300.0
KEY_READ_UNITS_MAX = 3_000
KEY_WRITE_UNITS_MAX = 1_000
# What a table on demand can do at first; and, by quota, what any table can do on demand.
ON_DEMAND_AT_FIRST = (12_000, 4_000)
TABLE_UNITS_MAX = 40_000
# A peak is a rate over so long; double of it is allowed when it is so old.
PEAK_SECONDS = 60.0
PEAK_STANDS_SECONDS = 1_800.0
# What is remembered of throughput: of so many keys of a table, and of so many tables and indexes.
KEYS_WATCHED_MAX = 10_000
FLOWS_MAX = 10_000
# Contributor Insights: so many keys are told apart in a minute, for so long.
CONTRIBUTORS_MAX = 500
CONTRIBUTORS_KEPT = timedelta(days=15)
INSIGHTS_A_PAGE = 100
# A report is of a day at most.
REPORT_MINUTES_MAX = 1_441
# How many rows one read of the store asks for.
ROWS_A_READ = 256
# And for one of several ranges that are read together.
ROWS_A_WAY = 32

STREAM_LIFE = timedelta(hours=24)
STREAM_TRIM_EVERY = timedelta(hours=1)

RECOVERY_DAYS_MAX = 35
SYSTEM_BACKUP_LIFE = timedelta(days=35)
PRUNE_EVERY = timedelta(hours=1)
BACKUPS_A_PAGE = 100
EXPORTS_A_PAGE = 25
EXPORT_LIFE = timedelta(days=90)
EXPORT_FILE_BYTES = 8 * 1_048_576
ROWS_EXPORTED_A_READ = 64
INCREMENT_MIN = timedelta(minutes=15)
INCREMENT_MAX = timedelta(hours=24)
CLIENT_TOKEN_LIFE = timedelta(hours=8)
IMPORT_LINE_BYTES_MAX = 8 * 1_048_576
# How much of a table one commit of a copy holds.
COPIED_BYTES_MAX = 1_048_576

# How many changes, and how many graves, one commit takes to other replicas or away.
SHIPPED_A_COMMIT = 100
GRAVES_A_COMMIT = 100
# Graves are cleared away so often, if no more changes than these are under way.
SWEEP_EVERY = timedelta(hours=1)
ENTRIES_SWEPT = 1_000
# A Region that is down is looked at so often.
REGION_RETRY = timedelta(seconds=5)
# A replica cannot be deleted so soon after another one was made of it.
SOURCE_HOLD = timedelta(hours=24)

TOKEN_LIFE = timedelta(minutes=10)
# For so long a caller who was let in to a table's data key is not asked again.
KEY_REUSE = timedelta(minutes=5)
# How long a table is CREATING or DELETING, in cloud time: until its job has run, which is real and
# takes a commit. Longer, and each client's waiter would sleep its 20 seconds; and a table made while
# the clock is paused would never be ACTIVE.
SETTLE = timedelta(0)
# How long DescribeTable waits, at most, for a table whose change is under way.
DESCRIBE_WAIT = timedelta(milliseconds=500)

TABLES = Quota("dynamodb", "L-F98FE922", "Maximum number of tables", 2_500)

# Kinesis streams that a table's changes can go to, and how long what cannot go there is kept.
FEEDS_MAX = 2
FEED_LIFE = timedelta(hours=24)
FED_A_CALL = 500
FED_BYTES_MAX = 5 * 1024 * 1024
FEED_RETRY = timedelta(seconds=10)
FEEDS_KEPT_MAX = 1_000
