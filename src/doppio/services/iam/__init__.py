"""IAM: who may do what.

Reading order: `records`, `identities` (from an access key to a principal with its policies, asked
for every request), then the nouns: `users`, `groups`, `roles`, `policies`, `access_keys`,
`instance_profiles`. `attachments` holds what users, groups and roles have in common.
"""
