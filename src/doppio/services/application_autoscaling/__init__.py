"""Application Auto Scaling: capacity that follows its use.

Reading order: `records` (what is stored), `rules` (what is decided), `dimensions` (what can be
scaled here, and how), then the nouns: `targets`, `policies`, `scheduled`, `activities`; and
`scaling`, which does it.
"""
