"""SSM: Systems Manager's Parameter Store, where configuration lives in a hierarchy of names.

Reading order: `records` (what is stored), `rules` (names, values, selectors, filters), `sealing` (how
SecureStrings are kept), `parameters` (written and deleted), `reading`, `public` (what AWS tells
everybody), `labels`, `tagging`, `sharing` (policies), `settings` and `throughput`.
"""
