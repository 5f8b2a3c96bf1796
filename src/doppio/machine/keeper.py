"""The first program of an environment: it binds itself, and then becomes what is to run.

A script of its own, since a process that has threads may not prepare a child safely:
`python keeper.py PARENT GROUPS ADDRESS_BYTES FOLDER VARIABLES PROGRAM...`. It joins its control
groups, asks to die with the cloud, takes its limits and its folder, and executes the program in its own
place, with the variables that the file descriptor VARIABLES holds: what users name so (LD_PRELOAD)
must not bear on programs outside the sandbox.
"""

from __future__ import annotations

import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_OPEN_FILES_MAX = 1024


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the cloud's thread that started it ends.

    Linux alone knows this. Whoever has lost its parent before it could ask ends at once.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def read_variables(descriptor: int) -> dict[bytes, bytes]:
    """The environment that a file holds, as NAME=VALUE, each ended by a zero byte."""
    with open(descriptor, "rb") as file:
        found = (line.partition(b"=") for line in file.read().split(b"\0") if line)
        return {name: value for name, _, value in found}


def main(arguments: list[str]) -> None:
    """Bind this process as its arguments say, and become the program."""
    parent, groups, address_bytes, folder, variables, *program = arguments
    for group in filter(None, groups.split(os.pathsep)):
        with open(f"{group}/cgroup.procs", "w") as file:  # noqa: PTH123 - pathlib costs 5 ms
            file.write(str(os.getpid()))
    die_with_parent(int(parent))
    if int(address_bytes):
        resource.setrlimit(resource.RLIMIT_AS, (int(address_bytes), int(address_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _OPEN_FILES_MAX if most == resource.RLIM_INFINITY else min(_OPEN_FILES_MAX, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    os.chdir(folder)
    os.execve(program[0], program, read_variables(int(variables)))  # noqa: S606 - its purpose


if __name__ == "__main__":
    main(sys.argv[1:])
