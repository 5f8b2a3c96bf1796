"""Every number that AWS documents for DynamoDB Streams."""

from __future__ import annotations

from datetime import timedelta

STREAMS_A_PAGE = 100
RECORDS_A_PAGE = 1_000
PAGE_BYTES_MAX = 1_048_576
ITERATOR_LIFE = timedelta(minutes=15)
# How many entries one read of the log asks for.
ENTRIES_A_READ = 256
