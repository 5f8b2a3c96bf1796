"""EventBridge Scheduler: calls that are made at a time, once or again and again.

Reading order: `records` (what is stored), `definition` (when, and what a target may be), `schedules` and
`groups` (the operations), `firing` (a schedule comes due), `targets` (the call it makes).
"""
