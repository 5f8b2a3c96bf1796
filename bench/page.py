"""RESULTS.md: one part a program of this folder, each replaced when its program runs again."""

from __future__ import annotations

import os
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
HEAD = """# Results

Each part is written by the program that measured it; see [the programs](.). Machines are noisy: what
counts are ratios within a part, and operations per CPU second (user and system time of all threads of
the server).
"""


def machine() -> str:
    """The machine and the day, in a line."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.release()}, "
        f"{os.cpu_count()} virtual cores ({model}), {python()}."
    )


def python() -> str:
    """The interpreter that all servers run on. How it was built matters: up to a quarter."""
    version = f"Python {platform.python_version()}"
    if sys.base_prefix == "/usr":
        return f"{version} as {platform.freedesktop_os_release()['NAME']} builds it"
    return f"{version} of another build"


def update(part: str, title: str, text: str, *, dry: bool) -> None:
    """Print a part, and put it into the page under its title."""
    whole = (
        f"<!-- {part} -->\n## {title}\n\n{machine()}\n\n{text.strip()}\n<!-- end of {part} -->\n"
    )
    print(whole)
    if dry:
        return
    page = RESULTS.read_text() if RESULTS.exists() else HEAD
    old = re.compile(f"<!-- {part} -->.*?<!-- end of {part} -->\n", re.DOTALL)
    page = old.sub(lambda _: whole, page) if old.search(page) else f"{page.rstrip()}\n\n{whole}"
    RESULTS.write_text(page)
