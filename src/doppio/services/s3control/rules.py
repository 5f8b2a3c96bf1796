"""s3control's decisions, pure: no clock, no store, nothing awaited."""

from __future__ import annotations
