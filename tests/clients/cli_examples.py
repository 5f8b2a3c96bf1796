"""The AWS CLI's own examples: what real S3 answered, and the CLI in one process to ask the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from .conftest import Account

# Commands by lines of JSON on standard input, what they print and their status on the other end:
# the CLI itself, started once for a hundred commands.
LOOP = """
import contextlib, io, json, sys
from awscli.clidriver import create_clidriver
driver = create_clidriver()
for line in sys.stdin:
    out, problem = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(problem):
        try:
            status = driver.main(json.loads(line))
        except SystemExit as ended:
            status = ended.code
    print(json.dumps([status, out.getvalue(), problem.getvalue()]), flush=True)
"""
_OUTPUT = re.compile(r"^Output::\n\n((?:[ \t]+.*\n?|\n)+)", re.MULTILINE)


class Said(NamedTuple):
    """What a command ended with."""

    status: int
    out: str
    problem: str


class Cli:
    """`aws s3api` in a process that stays."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *words: str) -> Said:
        """Run a command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return Said(*json.loads(self._process.stdout.readline()))

    def __call__(self, operation: str, *words: str, **options: Any) -> Any:
        """An operation's answer; options that are no texts are given as JSON."""
        command = ["s3api", operation, *words]
        for name, value in options.items():
            text = value if isinstance(value, str) else json.dumps(value)
            command += [f"--{name.replace('_', '-')}", text]
        said = self.run(*command)
        assert said.status == 0, f"{command}: {said.problem}"
        return json.loads(said.out) if said.out.strip() else None


@contextmanager
def cli(account: Account, folder: Path) -> Iterator[Cli]:
    """The CLI for an account."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP], env=account.environment(), cwd=folder, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Cli(process)
    finally:
        process.communicate(timeout=30)


def example(operation: str, number: int = 0, *, service: str = "s3api") -> Any:
    """What the CLI's documentation shows as the output of an operation."""
    import awscli

    page = Path(awscli.__file__).parent / "examples" / service / f"{operation}.rst"
    found = _OUTPUT.findall(page.read_text())
    return json.loads(textwrap.dedent(found[number]))


def missing(shown: Any, found: Any, spared: frozenset[str], where: str = "") -> list[str]:
    """What the documentation shows and an answer has not, or has of another type."""
    name = where.rpartition(".")[2]
    if name in spared:
        return []
    if isinstance(shown, dict):
        if not isinstance(found, dict):
            return [f"{where} is {found!r}, no structure"]
        return [
            problem
            for key, value in shown.items()
            for problem in missing(value, found.get(key), spared, f"{where}.{key}")
        ]
    if isinstance(shown, list):
        if shown and not (isinstance(found, list) and found):
            return [f"{where} is {found!r}, no list like {shown!r}"]
        return missing(shown[0], found[0], spared, where) if shown else []
    if type(shown) is not type(found):
        return [f"{where} is {found!r}, not like {shown!r}"]
    return []
