"""Every number that AWS documents for KMS, with its unit last in the name.

Source: "Quotas" in the KMS developer guide, and the API reference.
"""

from __future__ import annotations

from datetime import timedelta

MESSAGE_BYTES_MAX = 4096
POLICY_BYTES_MAX = 32 * 1024
DELETION_DAYS_MIN = 7
DELETION_DAYS_MAX = 30
ROTATION_DAYS_MIN = 90
ROTATION_DAYS_MAX = 2560
ROTATION_DAYS = 365
ROTATIONS_ON_DEMAND_MAX = 25
ALIASES_A_KEY_MAX = 50
ROTATION_MINUTES_BEFORE = 20
LISTED_ROTATIONS = 100
IMPORT_HOURS = 24
MATERIAL_DAYS_MAX = 365
# How long a key is in a state that passes by itself.
SETTLING_SECONDS = 3
KEY_STORES_MAX = 10
# AWS waits for 0.25 seconds; a proxy on a busy machine is given more.
PROXY_SECONDS_MAX = 2.0
GRANTS_A_KEY_MAX = 50_000
LISTED_GRANTS = 50
LISTED_KEYS_MAX = 1000
LISTED_KEYS = 100
LISTED_ALIASES_MAX = 100
LISTED_ALIASES = 50
DAY = timedelta(days=1)
