"""Every number that AWS documents for IAM: "IAM and AWS STS quotas"."""

from __future__ import annotations

ACCESS_KEYS_A_USER_MAX = 2
GROUPS_A_USER_MAX = 10
MFA_DEVICES_A_USER_MAX = 8
SSH_KEYS_A_USER_MAX = 5
CERTIFICATES_A_USER_MAX = 2
SERVICE_CREDENTIALS_A_USER_MAX = 2
# How long the console's session lasts, and how often a use of a password is noted.
SIGN_IN_SECONDS = 12 * 3_600
PASSWORD_USE_MINUTES = 5
# The default password policy; one of the account's own that leaves the length out asks for less.
PASSWORD_CHARS_MIN = 8
PASSWORD_KINDS_MIN = 3
OWN_POLICY_CHARS_MIN = 6
PASSWORDS_REMEMBERED_MAX = 24
MANAGED_POLICIES_MAX = 10
VERSIONS_A_POLICY_MAX = 5
VERSIONS_IN_USE_MAX = 10_000
INSTANCE_PROFILE_ROLES_MAX = 1
INLINE_USER_CHARS_MAX = 2_048
INLINE_GROUP_CHARS_MAX = 5_120
INLINE_ROLE_CHARS_MAX = 10_240
MANAGED_POLICY_CHARS_MAX = 6_144
TRUST_POLICY_CHARS_MAX = 2_048
TAGS_MAX = 50
USERS_MAX = 5_000
GROUPS_MAX = 300
ROLES_MAX = 1_000
POLICIES_MAX = 1_500
INSTANCE_PROFILES_MAX = 1_000
LIST_ITEMS_DEFAULT = 100
# So long IAM tells what has become of a service-linked role's deletion.
DELETION_TASK_DAYS = 7
# How many rows one request may look at where AWS sets no bound.
ROWS_MAX = 5_000
# Ten managed policies on each user, group and role that there may be.
ATTACHMENTS_MAX = 63_000
SERVER_CERTIFICATES_MAX = 20
CREDENTIAL_REPORT_HOURS = 4
SAML_PROVIDERS_MAX = 100
SAML_KEYS_MAX = 2
# A claim in a session's context; a longer one is left out.
CONTEXT_VALUE_CHARS_MAX = 128
OIDC_PROVIDERS_MAX = 100
OIDC_CLIENT_IDS_MAX = 100
OIDC_THUMBPRINTS_MAX = 5
# Ours: how many requests one account may have under way, and for how long one waits in each state.
DELEGATION_REQUESTS_MAX = 1_000
DELEGATION_DAYS = 7
DELEGATION_POLICY_CHARS_MAX = 6_144
SUMMARY_CHARS_MAX = 10_000
