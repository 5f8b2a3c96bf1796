"""The numbers that AWS documents for S3 Control, and our own for what it leaves open."""

from __future__ import annotations

from datetime import timedelta

from doppio.kernel.quotas import Quota

# Source: "S3 Batch Operations" in the user guide.
JOB_TAGS_MAX = 50
LISTED_JOBS_MAX = 1_000
JOBS_KEPT = timedelta(days=90)
CONFIRMED_WITHIN = timedelta(days=30)
# A job fails when more than half of its tasks do, once it has tried so many.
TASKS_BEFORE_FAILING = 1_000

# Ours. So many tasks are done at once, between two commits of a job's progress: what a crash may repeat.
TASKS_A_STEP = 50
# Each of a function's invocations side by side takes an environment of its own.
FUNCTIONS_AT_ONCE = 4
# So often a task is tried that S3 could not do for the moment.
TASK_TRIES_MAX = 6
TASKS_PLANNED_A_STEP = 500
READ_BYTES = 1024 * 1024
MANIFEST_LINE_BYTES_MAX = 64 * 1024
MANIFEST_JSON_BYTES_MAX = 4 * 1024 * 1024
REPORT_FILE_BYTES = 4 * 1024 * 1024
ROWS_A_STEP = 500
OPEN_JOBS_MAX = 1_000
"""How many jobs of an account and Region are told at once that another one has ended."""

# Source: "Rules for naming Amazon S3 access points", "Access points restrictions and limitations".
POINTS = Quota("s3", "L-FAABEEBA", "Access points per Region", 10_000)
POINT_NAME_CHARS_MIN = 3
POINT_NAME_CHARS_MAX = 50
ALIAS_NAME_CHARS_MAX = 20  # so much of the name begins the alias
# Source: "Amazon S3 Object Lambda" in the service quotas.
LAMBDA_POINTS_MAX = 1_000
# Source: "Multi-Region Access Point restrictions and limitations".
REGIONS_A_POINT_MAX = 20
ASYNC_REQUESTS_KEPT_DAYS = 14
LISTED_POINTS_MAX = 1_000

# Source: "Amazon S3 Storage Lens" in the user guide.
LENS_MAX = 50
LENS_GROUPS_MAX = 50
LENS_TAGS_MAX = 50
LENS_LISTED_MAX = 100
# How deep Storage Lens looks, and which share of a bucket's bytes a prefix has to hold (in percent),
# where nobody says so. What may be said is in AWS's model.
LENS_DEPTH_DEFAULT = 5
LENS_PERCENTAGE_DEFAULT = 1.0
