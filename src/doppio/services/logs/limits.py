"""Every number that AWS documents for CloudWatch Logs, with its unit last in the name.

Source: "CloudWatch Logs quotas" in the user guide, and the API reference.
"""

from __future__ import annotations

from datetime import timedelta

BATCH_BYTES_MAX = 1_048_576
EVENT_OVERHEAD_BYTES = 26
EVENT_BYTES_MAX = 1_048_576
BATCH_SPAN = timedelta(hours=24)
OLDEST = timedelta(days=14)
NEWEST = timedelta(hours=2)
RETENTION_DAYS = frozenset(
    {
        1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557,
        2922, 3288, 3653,
    }
)  # fmt: skip
GROUPS_MAX = 1_000_000
POLICIES_MAX = 10
PAGE_MAX = 50
EVENTS_A_PAGE_MAX = 10_000
PAGE_BYTES_MAX = 1_048_576
METRIC_FILTERS_MAX = 100
FILTER_DIMENSIONS_MAX = 3
SUBSCRIPTION_FILTERS_MAX = 2
# Ours: so many bytes of lines, compressed or not, fit into what a destination takes at once.
BROUGHT_BYTES_MAX = 512 * 1024
# "CloudWatch Logs retries for up to 24 hours"; its pauses are ours, and how many destinations at once.
BROUGHT_FOR = timedelta(hours=24)
BRING_PAUSE_MIN = timedelta(seconds=1)
BRING_PAUSE_MAX = timedelta(minutes=5)
FOLLOWERS_AT_ONCE = 256
ROWS_BROUGHT_A_READ = 100
# So many numbers CloudWatch takes at once.
DATA_A_CALL = 1_000
# Ours: lines of one minute lie together, and a reader sorts a minute at a time.
SLOT_MILLISECONDS = 60_000
ROWS_A_READ = 64
# Ours: so many bytes are searched before FilterLogEvents answers with a token.
SEARCHED_BYTES_MAX = 32 * 1_048_576
# Ours: rows removed in one commit of a job.
ROWS_A_REMOVAL = 200
# Ours: shorter rows do not gain from being compressed.
COMPRESSED_BYTES_MIN = 1_024
