"""The README is part of the build: it names the operations that exist, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import doppio.services.dynamodb
from doppio.services.dynamodb.service import SERVICE
from doppio.wire import model


def test_the_readme_names_every_operation_and_no_other() -> None:
    text = (Path(doppio.services.dynamodb.__file__).parent / "README.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    named = [
        name for row in rows[1:] for name in re.findall(r"[A-Z][A-Za-z0-9]+\b", row.split("|")[2])
    ]
    methods = model.load("dynamodb").by_method
    assert sorted(named) == sorted(methods[method].name for method in SERVICE.operations)
