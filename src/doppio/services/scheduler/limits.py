"""Every number that AWS documents for EventBridge Scheduler: its API reference and quotas."""

from __future__ import annotations

from datetime import timedelta

EVENT_AGE_DEFAULT = timedelta(days=1)
RETRIES_DEFAULT = 185
LISTED_MAX = 100
SCHEDULES_MAX = 1_000_000
GROUPS_MAX = 500
INPUT_BYTES_MAX = 256 * 1024
# Ours: the pauses between tries double from one to the other.
RETRY_PAUSE_MIN = timedelta(seconds=1)
RETRY_PAUSE_MAX = timedelta(minutes=10)
ROWS_A_COMMIT = 100
