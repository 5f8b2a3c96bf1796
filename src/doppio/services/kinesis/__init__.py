"""Kinesis Data Streams: records in order by shard, kept for a day or a year, read by whoever comes.

Reading order: `records` (what is stored), `shards` (which hash keys lie where, and how shards split and
merge: pure), `lookup` (streams by name or ARN), then the nouns: `streams`, `reshaping`, `producing`,
`consuming`, `consumers`, `settings`, `belongings`; `upkeep` is what runs on the clock.
"""
