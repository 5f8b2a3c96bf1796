"""Every number that AWS documents for s3control, with its unit last in the name."""

from __future__ import annotations
