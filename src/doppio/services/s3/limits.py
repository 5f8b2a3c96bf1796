"""The numbers that S3 documents, each with its unit, and our own for what S3 leaves open."""

from __future__ import annotations

from datetime import timedelta

from doppio.kernel.quotas import Quota

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

# Source: "Amazon S3 multipart upload limits", "General purpose bucket naming rules",
# "Working with object metadata", "Categorizing your storage using tags".
BUCKETS = Quota("s3", "L-DC2B2D3D", "General purpose buckets", 10_000)
# Source: "Directory bucket quotas".
DIRECTORY_BUCKETS = Quota("s3", "L-775A314D", "Directory buckets", 100)
DIRECTORY_BUCKETS_LISTED_MAX = 1000
EXPRESS_SESSION = timedelta(minutes=5)
OBJECT_BYTES_MAX = 50 * TIB
PUT_BYTES_MAX = 5 * GIB
COPY_BYTES_MAX = 5 * GIB
PART_BYTES_MIN = 5 * MIB
PART_BYTES_MAX = 5 * GIB
PART_NUMBER_MAX = 10_000
KEY_BYTES_MAX = 1024
METADATA_BYTES_MAX = 2 * KIB
OBJECT_TAGS_MAX = 10
BUCKET_TAGS_MAX = 50
LISTED_KEYS_MAX = 1000  # also versions and uploads
LISTED_PARTS_MAX = 1000
LISTED_BUCKETS_MAX = 10_000
DELETED_KEYS_MAX = 1000
MULTI_REGION_POINTS_MAX = 100
# Source: "Working with Range and partNumber headers", "Writing Lambda functions for S3 Object Lambda
# Access Points": so long a function may take. Links to what it works on count a second longer.
FUNCTION_SECONDS_MAX = 60
POLICY_BYTES_MAX = 20 * KIB
GRANTS_MAX = 100
ANNOTATIONS_MAX = 1000  # of a version, and of a page
ANNOTATION_BYTES_MAX = 1 * MIB
ANNOTATION_NAME_BYTES_MAX = 512
CORS_RULES_MAX = 100
NOTIFICATIONS_MAX = 100
WEBSITE_RULES_MAX = 50
REDIRECT_CHARS_MAX = 2048
LOCK_DAYS_MAX = 36_500
LOCK_YEARS_MAX = 100
LIFECYCLE_RULES_MAX = 1000
REPLICATION_RULES_MAX = 1000
RTC_MINUTES = 15
RULE_ID_CHARS_MAX = 255
TRANSITION_BYTES_MIN = 128 * KIB
CONFIGURATIONS_MAX = 1000  # of each kind: inventories, analytics, metrics
CONFIGURATIONS_LISTED_MAX = 100
CONFIGURATION_ID_CHARS_MAX = 64

# Ours. A body up to the first lies in its object's row, up to the second in a row of its own, and
# beyond that in a file. A row costs no fsync of its own, a file does not swell the store. Measured
# with SQLite: 4 KiB in the object's row makes a GET twice as fast and a listing no slower, 8 KiB
# makes a listing take two and a half times as long. A PUT of 64 KiB costs 0.6 ms of CPU in a row
# and 1.7 ms in a file; from 200 KiB on there is no more to gain.
BODY_IN_RECORD_BYTES_MAX = 4 * KIB
BODY_IN_ROW_BYTES_MAX = 64 * KIB
# So much of a large body is gathered before it is hashed and written in worker threads. Measured:
# 1 MiB 450, 2 MiB 490, 4 MiB 525 MiB/s; an upload holds about twice as much in memory.
BATCH_BYTES = 2 * MIB
# So much of a stored body is read in one step, where the kernel cannot send it.
READ_BYTES = 1 * MIB
# Bytes that nothing refers to are removed later, so that a download that is about to open them
# still finds them.
RECLAIM_DELAY = timedelta(minutes=5)
# So long a completed upload is remembered, for a client that missed the answer.
COMPLETED_KEPT = timedelta(days=1)
# A file without a record is left alone until nobody can still be writing it.
ORPHAN_AGE = timedelta(hours=24)
SWEEP_EVERY = timedelta(days=1)
PARTS_A_STEP = 500
LIFECYCLE_KEYS_A_STEP = 500
CENSUS_KEYS_A_STEP = 500
# A file of a report holds about so much, and so does the memory of who writes it.
REPORT_FILE_BYTES = 4 * MIB
# Access logs are written so often, or when so many lines are in hand for one bucket.
LOG_EVERY = timedelta(seconds=60)
LOG_LINES_MAX = 20_000
# So many days are told of in the export of a storage class analysis.
ANALYSED_DAYS_KEPT = 400

# Source: "How S3 Intelligent-Tiering works": objects below do not move, and are not monitored.
TIERED_BYTES_MIN = 128 * 1024
# After how many days an archive tier can be due: at least, at most.
ARCHIVE_DAYS = (90, 730)
DEEP_ARCHIVE_DAYS = (180, 730)

# Source: "JournalTableConfiguration".
JOURNAL_DAYS_MIN = 7
JOURNAL_DAYS_MAX = 2**31 - 1
# Ours: how soon the journal tells, and the inventory, of which AWS says "within one hour".
JOURNAL_EVERY = timedelta(minutes=1)
INVENTORY_EVERY = timedelta(minutes=30)
TABLE_ROWS_A_COMMIT = 10_000
INVENTORY_KEYS_A_COMMIT = 1_000
ANNOTATION_TABLE_BYTES_A_COMMIT = 8 * MIB
