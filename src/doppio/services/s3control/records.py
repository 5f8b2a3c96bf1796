"""What s3control stores: frozen structs, each with its table, key and indexes."""

from __future__ import annotations
