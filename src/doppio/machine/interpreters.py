"""Which interpreters of languages this machine has, and where they lie."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

_SECONDS_MAX = 10
_ASK_PYTHON = (
    "import site, sys; print(sys._base_executable or sys.executable); print(sys.base_prefix); "
    "print('.'.join(map(str, sys.version_info[:3]))); "
    "print(*site.getsitepackages([sys.base_prefix]), sep='\\n')"
)
# What AWS's Python runtime brings, as far as this machine has it.
_BROUGHT = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


class Interpreter(NamedTuple):
    """A program that runs a language. `root` is the folder with all that belongs to it.

    `exact`: whether it is of the version that was asked for. `libraries` are the folders with what
    was installed into it: the machine's own, and nothing that functions should find.
    """

    program: Path
    root: Path
    version: str
    exact: bool
    libraries: tuple[Path, ...] = ()


@cache
def python(version: str) -> Interpreter:
    """Python of a version (`3.12`); where the machine has none, the one that runs this cloud."""
    for name in (f"python{version}", "python3", "python"):
        found = shutil.which(name)
        interpreter = None if found is None else _asked(Path(found))
        if interpreter is not None and _is(interpreter.version, version):
            return interpreter._replace(exact=True)
    program = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    own = _asked(program)
    if own is None:
        said = "{}.{}.{}".format(*sys.version_info[:3])
        own = Interpreter(program, Path(sys.base_prefix).resolve(), said, exact=False)
    return own._replace(exact=_is(own.version, version))


@cache
def node(version: str) -> Interpreter | None:
    """Node.js; None where the machine has none."""
    found = shutil.which("node")
    said = None if found is None else _output([found, "--version"])
    if found is None or said is None:
        return None
    program, number = Path(found).resolve(), said.strip().removeprefix("v")
    return Interpreter(program, program.parent.parent, number, number.split(".")[0] == version)


@cache
def python_libraries() -> dict[str, Path]:
    """The libraries for Python that functions find without bringing them, by file name."""
    return dict(_found())


def _found() -> Iterator[tuple[str, Path]]:
    for name in _BROUGHT:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        path = Path(spec.origin)
        path = path.parent if path.name == "__init__.py" else path
        yield path.name, path


def _asked(program: Path) -> Interpreter | None:
    said = _output([str(program), "-I", "-S", "-c", _ASK_PYTHON])
    lines = (said or "").splitlines()
    if len(lines) < 3:
        return None
    libraries = tuple(Path(line) for line in lines[3:] if Path(line).is_dir())
    program, root = Path(lines[0]).resolve(), Path(lines[1]).resolve()
    return Interpreter(program, root, lines[2], exact=False, libraries=libraries)


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS_MAX, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _is(full: str, asked: str) -> bool:
    return full.split(".")[:2] == asked.split(".")[:2]
