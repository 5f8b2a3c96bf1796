"""Every number that AWS documents for EventBridge Pipes: its API reference and user guide."""

from __future__ import annotations

from datetime import timedelta

LISTED_MAX = 100
FILTERS_MAX = 5
BATCH_DEFAULT = 10
# Of a FIFO queue, and where nobody waits for more, a batch is what one receipt gives.
BATCH_WITHOUT_WINDOW_MAX = 10
RECEIVE_COUNT_MAX = 10
TARGET_BATCH_MAX = 10
PUT_EVENTS_ENTRIES_MAX = 10
POLL_SECONDS = 20
# Ours: pipes that run at once in a process, and the pause after something went wrong.
RUNNING_MAX = 256
PAUSE = timedelta(seconds=5)
STATE_REASON_CHARS_MAX = 512
