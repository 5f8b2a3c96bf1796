"""Organizations: many accounts under one management account, and what may be done in them.

Reading order: `records`, `tree` (whose organisation, which target, what path), then the nouns:
`organization`, `units`, `accounts`, `creation`, `tagging`. `permissions` says who may call what.
"""
