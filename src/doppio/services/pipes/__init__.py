"""EventBridge Pipes: from a source, through a filter and a template, to a target.

Reading order: `records` (what is stored), `definition` (what a pipe may be), `events` (what it makes
of a message), `pipes` (the operations), `flow` (what moves), `targets` (where it goes).
"""
