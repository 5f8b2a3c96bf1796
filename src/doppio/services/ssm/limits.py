"""Every number that AWS documents for Parameter Store, with its unit last in the name.

Source: "Systems Manager endpoints and quotas", and the API reference.
"""

from __future__ import annotations

STANDARD_VALUE_BYTES_MAX = 4_096
ADVANCED_VALUE_BYTES_MAX = 8_192
NAME_CHARS_MAX = 1_011
LEVELS_MAX = 15
VERSIONS_MAX = 100
LABELS_A_VERSION_MAX = 10
POLICIES_MAX = 10
POLICY_BYTES_MAX = 1_024
# Calls of an account in a Region, where a cloud throttles: those that read share a limit, unless
# more is paid for.
CALLS_A_SECOND = {
    "GetParameter": 40, "GetParameters": 40, "GetParametersByPath": 40, "PutParameter": 3
}  # fmt: skip
CALLS_A_SECOND_HIGH = {
    "GetParameter": 10_000, "GetParameters": 1_000, "GetParametersByPath": 100, "PutParameter": 10
}  # fmt: skip
# Ours: days or hours of a notice.
POLICY_SPAN_MAX = 36_500
BY_PATH_RESULTS = 10
LISTED = 50
# Ours: so many parameters are read in one step where a list is filtered.
PARAMETERS_A_STEP = 200
