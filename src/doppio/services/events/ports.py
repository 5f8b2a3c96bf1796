"""Doors to EventBridge where AWS has no public operation: what Pipes calls outside."""

from __future__ import annotations

from doppio.services.events.calling import Called, call_server
from doppio.services.events.outcomes import Done

__all__ = ["Called", "Done", "call_server"]
