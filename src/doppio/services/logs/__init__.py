"""CloudWatch Logs: lines in streams, kept by time, found again by patterns.

Reading order: `records` (what is stored, and how lines are packed), `lookup` (which group is meant),
`groups` and `streams` (their life), `intake` (PutLogEvents), `lines` (reading rows in order of time),
`reading` (GetLogEvents, FilterLogEvents), `patterns` (the filter language), `retention` (what is
removed, and when), `metric_filters`, `policies`, `tagging`.
"""
