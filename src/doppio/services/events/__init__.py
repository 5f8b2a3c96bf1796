"""EventBridge: buses, rules that want some of their events, and targets that are told.

Reading order: `records` (what is stored), `putting` (what an event causes, in its commit), `lanes`
(how that reaches a target), `ways` (each kind of target), then the nouns.
"""
