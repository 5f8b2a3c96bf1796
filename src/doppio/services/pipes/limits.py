"""Every number that AWS documents for EventBridge Pipes: its API reference and user guide."""

from __future__ import annotations

from datetime import timedelta

LISTED_MAX = 100
BILLED_BYTES = 64 * 1024
PIPES_MAX = 1_000
FILTERS_MAX = 5
BATCH_DEFAULT = 10
# Of a FIFO queue, and where nobody waits for more, a batch is what one receipt gives.
BATCH_WITHOUT_WINDOW_MAX = 10
TARGET_BATCH_MAX = 10
# Ours: so that ten messages, and what goes with them, fit into the least of the targets' requests.
TARGET_BATCH_BYTES_MAX = 192 * 1024
# What a function takes at once, where the pipe waits and where it does not, with room for brackets.
FUNCTION_BATCH_MAX = 10_000
FUNCTION_BYTES_MAX = 6 * 1024 * 1024 - 64 * 1024
FUNCTION_EVENT_BYTES_MAX = 1024 * 1024 - 64 * 1024
# Ours: so many servers are called at once for a batch.
CALLS_AT_ONCE = 4
# Ours: pipes that run at once in a process, and the pause after something went wrong.
RUNNING_MAX = 256
PAUSE = timedelta(seconds=5)
# Of streams: -1 is a pipe's word for "without end".
STREAM_BATCH_DEFAULT = 100
# Ours: more shards than a stream ever has here.
SHARDS_MAX = 1_000
WITHOUT_END = -1
RECORD_AGE_SECONDS_MIN = 60
LOGGED_DATA_BYTES_MAX = 256 * 1024 - 4 * 1024
STATE_REASON_CHARS_MAX = 512
