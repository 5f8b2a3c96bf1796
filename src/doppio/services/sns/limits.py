"""Every number that AWS documents for SNS, with its unit last in the name.

Source: "Amazon SNS endpoints and quotas", the API reference, "Amazon SNS message delivery retries".
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

KIB = 1024
DISPLAY_NAME_CHARS_MAX = 100
SUBJECT_CHARS_MAX = 100
MESSAGE_BYTES_MIN = KIB
MESSAGE_BYTES_DEFAULT = 256 * KIB
MESSAGE_BYTES_MAX = 1024 * KIB
BATCH_ENTRIES_MAX = 10
LISTED_MAX = 100
FILTER_KEYS_MAX = 5
FILTER_COMBINATIONS_MAX = 150
FILTER_BYTES_MAX = 256 * KIB
POLICY_BYTES_MAX = 30 * KIB
DATA_PROTECTION_BYTES_MAX = 30_720
AUDIT_PERCENT_MAX = 99
ARCHIVE_DAYS_MAX = 365
SMS_CHARS_MAX = 1_600
DEDUPLICATION = timedelta(minutes=5)
CONFIRMATION = timedelta(days=2)
# A requester of an HTTP endpoint waits so long for its answer.
HTTP_SECONDS_MAX = 15.0
# Metered by 64 KiB, as billed.
BILLED_BYTES = 64 * KIB
# Ours: subscriptions read at a time, and deliveries of one message under way at once.
SUBSCRIPTIONS_A_READ = 500
CUSTOMER_RETRIES_MAX = 100
SHOWN_MAX = 100
# What SNS does with its own services as subscribers, by the phases of a delivery policy: 100,015
# tries over 23 days. Source: "Amazon SNS message delivery retries".
SERVICE_RETRIES: dict[str, Any] = {
    "numNoDelayRetries": 3,
    "numMinDelayRetries": 2,
    "minDelayTarget": 1,
    "numMaxDelayRetries": 100_000,
    "maxDelayTarget": 20,
    "numRetries": 100_015,
    "backoffFunction": "exponential",
}
# Source: the same page, for SMTP, SMS and mobile push: 50 tries over six hours.
MAIL_TRIES = (
    *([timedelta(seconds=10)] * 2),
    *(timedelta(seconds=10 * (600 / 10) ** (step / 9)) for step in range(10)),
    *([timedelta(minutes=10)] * 38),
)
MAIL_SECONDS_MAX = 30.0
# Ours: archived messages read, replayed or forgotten at a time.
ARCHIVED_A_READ = 100
REPLAY_PAUSE = timedelta(seconds=10)
# Ours: lines of texts in one file of a report.
SMS_REPORT_LINES_MAX = 50_000
# "Data key caching": SNS uses a data key again for up to five minutes.
DATA_KEY_REUSE = timedelta(minutes=5)
