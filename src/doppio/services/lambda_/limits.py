"""Every number that AWS documents for Lambda, with its unit last in the name.

Source: "Lambda quotas" and the API reference.
"""

from __future__ import annotations

from datetime import timedelta

from doppio.kernel.quotas import Quota

CONCURRENT_EXECUTIONS = Quota("lambda", "L-B99A9384", "Concurrent executions", 1_000)
CODE_STORAGE_GB = Quota("lambda", "L-2ACBD22F", "Function and layer storage", 75)
# What reservations leave to the functions without one.
UNRESERVED_EXECUTIONS_MIN = 100

ZIPPED_BYTES_MAX = 50 * 1024 * 1024
UNZIPPED_BYTES_MAX = 250 * 1024 * 1024
# Of a request that brings a package in itself: fifty megabytes in base64, and what is around them.
REQUEST_BYTES_MAX = 70_167_211
LOCATION_SECONDS = 600

MEMORY_MB_DEFAULT = 128
MEMORY_MB_MAX = 10_240
TIMEOUT_SECONDS_DEFAULT = 3
TIMEOUT_SECONDS_MAX = 900
EPHEMERAL_MB_DEFAULT = 512
ENVIRONMENT_BYTES_MAX = 4_096
LAYERS_MAX = 5
LISTED_MAX = 50
LISTED_ANY_MAX = 10_000
# Ours: rows that are read in one step.
STEP_ROWS = 200
POLICY_BYTES_MAX = 20_480

# Ours: a package that nothing uses stays so long, since it may be on its way into a function.
UNUSED_FOR = timedelta(hours=1)
# Ours: files in a package, so that what unpacks it is bounded.
FILES_MAX = 100_000

EVENT_BYTES_MAX = 6 * 1024 * 1024
ASYNC_EVENT_BYTES_MAX = 1024 * 1024
RESPONSE_BYTES_MAX = 6 * 1024 * 1024 + 100
INIT_SECONDS = 10
LOG_TAIL_BYTES = 4_096
LOG_LINE_BYTES_MAX = 262_118
# Of a call of PutLogEvents.
LOG_BATCH_BYTES = 1_048_576
LOG_BATCH_EVENTS = 10_000
LOG_OVERHEAD_BYTES = 26
# Ours: what is written is sent so soon, and beyond so much that was not sent yet, it is lost.
LOG_SECONDS = 1.0
LOG_HELD_BYTES_MAX = 32 * 1024 * 1024
# Ours: an environment that nobody has used for so long, of host time, goes.
IDLE_SECONDS = 300.0
# Ours: a session that ends so soon after an invocation is not given to it.
SESSION_REST = timedelta(minutes=1)

RETRIES_DEFAULT = 2
EVENT_AGE_DEFAULT = timedelta(hours=6)
# "Lambda waits one minute before the first retry, and two minutes before the second."
RETRY_PAUSES = (timedelta(minutes=1), timedelta(minutes=2))
# "The retry interval increases exponentially from 1 second after the first attempt to 5 minutes."
THROTTLE_PAUSE_FIRST = timedelta(seconds=1)
THROTTLE_PAUSE_MAX = timedelta(minutes=5)
# Ours: so many asynchronous events run at a time, each in a process; the others wait.
ASYNC_AT_ONCE_MAX = 64
DEAD_LETTER_MESSAGE_CHARS = 1_024

QUEUE_BATCH_DEFAULT = 10
FILTERS_MAX = 5
# Ours: mappings that flow at once in a process, the batches of each that do, and the pause after
# something went wrong.
MAPPINGS_AT_ONCE = 256
BATCHES_AT_ONCE = 16
PAUSE = timedelta(seconds=5)

STREAM_BATCH_DEFAULT = 100
RECORD_AGE_SECONDS_MIN = 60
# Ours: a stream's shards are looked for so often.
SHARDS_EVERY = timedelta(seconds=10)
