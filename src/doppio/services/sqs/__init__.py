"""SQS: queues between components, without loss.

Reading order: `records` (what is stored), `rules` (what is decided), `queues` and `messages` (the
operations), `fifo` (order and deduplication), `move_tasks` (dead letters on their way back),
`fair` (groups on standard
queues), `sealing` (bodies under KMS keys), `counting` (what is in flight), `upkeep` (what time does to messages), `permissions`.
"""
