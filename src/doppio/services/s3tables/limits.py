"""Every number that AWS documents for S3 Tables, with its unit last in the name."""

from __future__ import annotations

from doppio.kernel.quotas import Quota

# Source: "Amazon S3 Tables endpoints and quotas".
TABLE_BUCKETS = Quota("s3tables", "L-S3TABLES-BUCKETS", "Table buckets", 10)
NAMESPACES_MAX = 10_000
TABLES_MAX = 10_000
LISTED_MAX = 1_000
POLICY_BYTES_MAX = 20 * 1024
METADATA_BYTES_MAX = 50 * 1024 * 1024
# Ours: how much of a warehouse one commit clears away.
ROWS_A_COMMIT = 100
COMMIT_TRIES_MAX = 5
