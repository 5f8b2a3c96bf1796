"""s3control's errors: one class per AWS code that the operations raise."""

from __future__ import annotations
