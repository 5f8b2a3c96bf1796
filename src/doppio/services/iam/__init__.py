"""IAM: who may do what.

Reading order: `records`, `identities` (from an access key to a principal with its policies, asked
for every request), then the nouns: `users`, `groups`, `roles`, `policies`, `access_keys`,
`instance_profiles`, `mfa_devices`, `login_profiles`, `belongings`, `server_certificates`;
`oidc_providers` and `saml_providers`, whose word counts. `sign_in` is the console's way in. What
tells of all of them: `account`, `account_details`, `credential_report`. `attachments` holds what
users, groups and roles have in common; `permissions` says what each operation needs, `trust` whom a
role may name.
"""
