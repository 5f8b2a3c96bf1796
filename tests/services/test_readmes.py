"""A service's README is part of the build: it names the operations that exist, and no others."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from doppio.catalog import Catalog, package_name
from doppio.kernel.service import Service
from doppio.wire import model


@pytest.mark.parametrize("service", Catalog().values(), ids=lambda service: service.name)
def test_the_readme_names_every_operation_and_no_other(service: Service) -> None:
    package = importlib.import_module(f"doppio.services.{package_name(service.name)}")
    assert package.__file__ is not None
    text = (Path(package.__file__).parent / "README.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    named = [
        name for row in rows[1:] for name in re.findall(r"[A-Z][A-Za-z0-9]+\b", row.split("|")[2])
    ]
    methods = model.load(service.name).by_method
    assert sorted(named) == sorted(methods[method].name for method in service.operations)
