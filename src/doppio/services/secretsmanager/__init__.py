"""Secrets Manager: what must not stand in code, kept under a key, in versions with labels.

Reading order: `records` (what is stored), `access` (which secret is meant, and may the caller),
`sealing` (how values are kept), then `secrets` (their life), `values` (versions and their labels),
`policies`, `passwords`, `replicas` (and `replication`, which keeps them in step), `rotation` (and
`rotation_rules`, which is pure).
"""
