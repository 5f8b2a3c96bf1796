"""Every number that AWS documents for S3 Tables, with its unit last in the name."""

from __future__ import annotations

from datetime import timedelta

# Source: "Amazon S3 Tables endpoints and quotas".
TABLE_BUCKETS_MAX = 10
NAMESPACES_MAX = 10_000
TABLES_MAX = 10_000
LISTED_MAX = 1_000
POLICY_BYTES_MAX = 20 * 1024
METADATA_BYTES_MAX = 50 * 1024 * 1024
# Ours: how much of a warehouse one commit clears away.
ROWS_A_COMMIT = 100
COMMIT_TRIES_MAX = 5
# Source: "Maintenance for tables" and "Maintenance for table buckets" in the S3 user guide.
TARGET_FILE_MB_DEFAULT, TARGET_FILE_MB_MIN, TARGET_FILE_MB_MAX = 512, 64, 512
SNAPSHOTS_KEPT_DEFAULT = 1
SNAPSHOT_AGE_HOURS_DEFAULT = 120
UNREFERENCED_DAYS_DEFAULT = 3
NONCURRENT_DAYS_DEFAULT = 10
# Ours: how often tables are looked at, and how much is written anew at once, since rows are in memory then.
UPKEEP_EVERY = timedelta(hours=6)
COMPACTED_BYTES_MAX = 128 * 1024 * 1024
COMPACTED_FILES_MIN = 5
LISTED_FILES_A_STEP = 1_000
# Ours: AWS replicates "within minutes".
REPLICATION_DELAY = timedelta(minutes=1)
REPLICATION_AGAIN = timedelta(minutes=15)
