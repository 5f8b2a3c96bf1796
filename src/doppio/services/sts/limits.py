"""Every number that AWS documents for STS."""

from __future__ import annotations

SESSION_SECONDS_MIN = 900
CHAINED_SECONDS_MAX = 3_600
ROLE_SECONDS_MAX = 43_200
ROOT_SECONDS_MAX = 3_600
ROOT_TASK_SECONDS_MAX = 900
USER_SECONDS_DEFAULT = 43_200
ROLE_SECONDS_DEFAULT = 3_600
SESSION_POLICY_ARNS_MAX = 10
SESSION_TAGS_MAX = 50
# Policies and tags together, packed.
PACKED_CHARS_MAX = 2_048
# Scope-down policies of a session, one upon the other.
NARROWED_MAX = 3
# The longest session token, which AWS tells by what it lets one ask for at least.
TOKEN_BYTES_MAX = 4_096
# From an assertion's making to its use.
RESPONSE_SECONDS_MAX = 300
# Ours: how far an issuer's clock may be ahead, and how long it may take to show its keys.
TOKEN_SKEW_SECONDS_MAX = 300
ISSUER_SECONDS_MAX = 5.0
WEB_TOKEN_SECONDS_DEFAULT = 300
# AWS tells no times. A key signs for a quarter, and its tokens live for an hour at most; it is
# shown a day longer, for who has been slow to fetch what there was.
TOKEN_KEY_SIGNS_DAYS = 90
TOKEN_KEY_SHOWN_DAYS = 1
TOKEN_KEYS_MAX = 100
