"""s3control: one sentence that says what it is for.

Reading order: `records` (what is stored), `rules` (what is decided), then the nouns.
"""
