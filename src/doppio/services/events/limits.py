"""Every number that AWS documents for EventBridge, with its unit last in the name.

Source: "Amazon EventBridge quotas", the API reference, "Retry policy and dead-letter queues".
"""

from __future__ import annotations

from datetime import timedelta

KIB = 1024
REQUEST_BYTES_MAX = 1024 * KIB
DETAIL_TYPE_CHARS_MAX = 128
TIME_BYTES = 14
BILLED_BYTES = 64 * KIB
TARGETS_MAX = 5
TARGETS_A_REQUEST_MAX = 10
PATTERN_BYTES_MAX = 4096
POLICY_BYTES_MAX = 10 * KIB
LISTED_MAX = 100
RETRY_ATTEMPTS_DEFAULT = 185
EVENT_AGE_SECONDS_DEFAULT = 86_400
INVOCATION_SECONDS_MAX = 5.0
# The `Range` that EventBridge asks for.
ANSWER_BYTES_MAX = 1024 * KIB
INVOCATION_RATE_DEFAULT = 300
AUTHORISATION_SECONDS_MAX = 10.0
RUNNING_REPLAYS_MAX = 10
BUSES_MAX = 100
SOURCE_WAIT = timedelta(days=14)
# Ours: AWS names no number of sources that partners may share with one account.
SOURCES_MAX = 1_000
RULES_MAX = 300
ENDPOINTS_MAX = 100
ARCHIVES_MAX = 100
CONNECTIONS_MAX = 3_000
DESTINATIONS_MAX = 3_000
# Ours: how many waits there are between tries, and the longest; so that the default of 185 tries
# takes the default of a day.
RETRY_WAIT_MAX = timedelta(minutes=8)
# So many deliveries of a lane are under way at once, and so many occurrences of a schedule that
# were missed (the cloud was off, or its clock jumped) are made up for.
DELIVERIES_AT_ONCE = 32
SERVER_DELIVERIES_AT_ONCE = 4
MADE_UP_MAX = 60
REPLAYED_A_STEP = 100
