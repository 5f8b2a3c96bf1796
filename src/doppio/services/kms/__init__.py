"""KMS: keys that never leave, and what is done with them.

Read `records` first, then `keys` (their life) and `deletion`, `aliases`, `key_policies`, `rotation`,
`imports` (material that somebody brings), `multi_region` and `relatives`, `key_stores` (with `external`
and `xks_proxy`: keys that lie elsewhere). `crypto` and `pairs` are the
cryptography, pure; `data` encrypts and makes data keys, `signing` signs and makes MACs, `agreement`
shares secrets. `access` finds a key by any of its names and asks whether the caller may; `conditions`
are what policies can ask of a call.
"""
