"""s3control: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service

SERVICE = Service("s3control", groups=[])
