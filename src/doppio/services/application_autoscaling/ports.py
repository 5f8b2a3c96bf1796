"""A door to Application Auto Scaling where AWS has no public operation: what an alarm acts on."""

from __future__ import annotations

from doppio.services.application_autoscaling.scaling import alarmed

__all__ = ["alarmed"]
