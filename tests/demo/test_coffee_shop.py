"""The demo, as `make demo` runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_coffee_shop_loses_no_order() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo.coffee_shop"], cwd=ROOT, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.rstrip().splitlines()[-1]
    found = re.fullmatch(r"(\d+) orders, 0 lost", last)
    assert found is not None, last
    assert int(found[1]) > 0
