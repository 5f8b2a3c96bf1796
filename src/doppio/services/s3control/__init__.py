"""S3 Control: what an account sets for S3 as a whole, beside its buckets' own settings.

Reading order: `records` (what is stored), `rules` (what is decided), then the nouns.
"""
