"""Every number that AWS documents for Organizations, with its unit last in the name.

Sources: "Quotas for AWS Organizations", the operations' documentation.
"""

from __future__ import annotations

from datetime import timedelta

from doppio.kernel.quotas import Quota

ACCOUNTS = Quota(
    "organizations", "L-E619E033", "Default maximum number of accounts in an organization", 10
)
UNITS_MAX = 2_000
# Levels of units below the root.
UNIT_DEPTH_MAX = 5
CREATIONS_AT_ONCE_MAX = 5
# What was asked for is remembered for so long.
CREATION_KEPT = timedelta(days=90)
# An account that was made here stays at least so long.
WAIT_PERIOD = timedelta(days=4)
# A closed account is gone after so long.
CLOSED_FOR = timedelta(days=90)
CLOSE_WINDOW = timedelta(days=30)
# In that window: the higher of so many and so many percent, up to a maximum.
CLOSED_LEAST = 250
CLOSED_PERCENT = 20
CLOSED_MOST = 1_000
TAGS_MAX = 50
PAGE_DEFAULT = 20
TAGS_A_PAGE = 50
# More than there can be of anything in one organisation.
ROWS_MAX = 20_000
# In effective policies. Sources: the syntax pages of backup and tag policies.
BACKUP_PLANS_MAX = 20
BACKUP_RULES_MAX = 10
BACKUP_SELECTIONS_MAX = 30
TAG_VALUES_MAX = 200
INVITATION_LASTS = timedelta(days=15)
MIGRATION_LASTS = timedelta(days=90)
# A handshake that has ended is shown for so long.
HANDSHAKE_KEPT = timedelta(days=30)
# Invitations that were not accepted, in a day; or the accounts that there may be, if those are more.
INVITATIONS_A_DAY = 20
