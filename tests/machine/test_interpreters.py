"""Interpreters of this machine."""

from __future__ import annotations

import subprocess
import sys

from doppio.machine import interpreters


def test_the_python_that_is_asked_for_is_the_one_that_runs() -> None:
    version = "{}.{}".format(*sys.version_info[:2])
    found = interpreters.python(version)
    assert found.exact
    said = subprocess.run(
        [found.program, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == found.version
    assert found.version.startswith(f"{version}.")
    assert (found.root / "lib" / f"python{version}").exists()


def test_a_python_that_is_not_here_is_replaced_and_that_is_said() -> None:
    found = interpreters.python("3.99")
    assert not found.exact
    assert found.version == "{}.{}.{}".format(*sys.version_info[:3])


def test_the_libraries_that_functions_find_are_those_of_this_cloud() -> None:
    found = interpreters.python_libraries()
    assert {"boto3", "botocore", "urllib3"} <= set(found)
    assert (found["boto3"] / "__init__.py").exists()
    assert "doppio" not in found


def test_node_is_found_where_it_is() -> None:
    found = interpreters.node("20")
    if found is not None:
        assert found.exact == found.version.startswith("20.")
        assert found.program.exists()
