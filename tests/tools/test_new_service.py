"""A new service's skeleton passes the checks as it is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import check, new_service

LAYER_RULES = (check.layers, check.bans, check.sizes, check.docstrings)


def test_a_new_service_passes_formatter_linter_and_the_rules(tmp_path: Path) -> None:
    written = new_service.write("kinesis", tmp_path)
    sources = [str(path) for path in written if path.suffix == ".py"]
    config = ["--config", str(check.ROOT / "pyproject.toml")]
    for command in (["format", "--check"], ["check"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *config, *sources], check=True)
    for path in written:
        if path.suffix == ".py" and "src" in path.parts:
            name = str(path.relative_to(tmp_path))
            assert not [finding for rule in LAYER_RULES for finding in rule(name, path.read_text())]
    assert not list(check.services(tmp_path))


def test_a_new_service_is_a_service(tmp_path: Path) -> None:
    new_service.write("kinesis", tmp_path)
    scope: dict[str, object] = {}
    source = tmp_path / "src" / "doppio" / "services" / "kinesis" / "service.py"
    exec(compile(source.read_text(), str(source), "exec"), scope)
    assert vars(scope["SERVICE"])["operations"] == {}


def test_a_word_of_python_s_becomes_a_package_that_can_be_imported(tmp_path: Path) -> None:
    written = new_service.write("lambda", tmp_path)
    assert {path.parent.name for path in written} == {"lambda_"}


def test_a_service_that_aws_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no service model"):
        new_service.write("espresso", tmp_path)


def test_an_existing_service_is_not_overwritten(tmp_path: Path) -> None:
    new_service.write("kinesis", tmp_path)
    with pytest.raises(ValueError, match="exists already"):
        new_service.write("kinesis", tmp_path)
