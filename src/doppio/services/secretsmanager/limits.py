"""Every number that AWS documents for Secrets Manager, with its unit last in the name.

Source: "AWS Secrets Manager quotas" in the user guide, and the API reference.
"""

from __future__ import annotations

from datetime import timedelta

VALUE_BYTES_MAX = 65_536
POLICY_BYTES_MAX = 20_480
STAGES_A_VERSION_MAX = 20
VERSIONS_MAX = 100
# Versions without a label are kept at least so long.
DEPRECATED_KEPT = timedelta(hours=24)
RECOVERY_DAYS_MIN = 7
RECOVERY_DAYS_MAX = 30
RECOVERY_DAYS = 30
ROTATED_EVERY_MIN = timedelta(hours=4)
ROTATED_EVERY_MAX = timedelta(days=1000)
# Ours: a rotation that fails so often waits for its next appointment.
ROTATION_TRIES_MAX = 5
LISTED_SECRETS_MAX = 100
BATCH_MAX = 20
PASSWORD_CHARS = 32
PASSWORD_CHARS_MAX = 4_096
# Ours: so many secrets are read in one step where a list is filtered.
SECRETS_A_STEP = 200
