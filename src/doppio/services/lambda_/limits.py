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
