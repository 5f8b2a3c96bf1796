"""DAX: DynamoDB Accelerator, a cache of items and of queries in front of DynamoDB.

Reading order: `records` (what is stored), `rules` (what is decided), then the nouns (`clusters`,
`parameter_groups`, `subnet_groups`, `happenings`, `tagging`); `upkeep` (clusters become what their
users want, and their nodes listen); and the way of a request: `session` (a connection), `reading`
and `answering` (the wire in and out, on `cbor`, `items` and `expressions`), `engine` (what DynamoDB
and the caches are asked), `caches`.
"""
