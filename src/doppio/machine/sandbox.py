"""What a program sees of this machine: the arguments of bubblewrap for a view. Pure.

The view is made of what is named, and nothing else: programs and libraries of the machine, read-only;
a few files of /etc that name resolution and TLS need; what the caller adds. No home, no /var, no data
directory. Processes, users, host name and IPC are the program's own; the network is the machine's,
since code calls the cloud and the world. All capabilities are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# As Lambda's user `sbx_user1051`.
USER, GROUP = 993, 990
_PROGRAMS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives", "ca-certificates", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
    "localtime", "nsswitch.conf", "pki", "resolv.conf", "ssl",
)  # fmt: skip


class View(NamedTuple):
    """What a program sees: files and folders of the machine by the place where it finds them.

    `hidden` are folders that it sees empty.
    `scratch_bytes` is the size of /tmp, which is in memory, and of no other's. `owned` are folders
    of the machine below which the program may write.
    """

    readable: Mapping[str, Path]
    scratch_bytes: int
    folder: str
    hostname: str = "localhost"
    owned: Mapping[str, Path] = {}
    hidden: tuple[Path, ...] = ()


def arguments(
    view: View, command: Sequence[str], variables: Mapping[str, str], *, root: Path = Path("/"),
    sizes: bool = True, there: Callable[[Path], bool] = Path.exists,
) -> list[str]:  # fmt: skip
    """What bubblewrap is told, to run `command` with this view. `sizes`: whether it can bound /tmp."""
    found = [
        "--die-with-parent", "--clearenv",
        "--unshare-user", "--uid", str(USER), "--gid", str(GROUP),
        "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", view.hostname,
        "--cap-drop", "ALL", "--ro-bind", str(root / "usr"), "/usr",
    ]  # fmt: skip
    for name in _PROGRAMS:
        path = root / name
        if path.is_symlink():
            found += ["--symlink", str(path.readlink()), f"/{name}"]
        elif there(path):
            found += ["--ro-bind", str(path), f"/{name}"]
    for name in _ETC:
        if there(root / "etc" / name):
            found += ["--ro-bind", str(root / "etc" / name), f"/etc/{name}"]
    found += ["--proc", "/proc", "--dev", "/dev"]
    if sizes:
        found += ["--size", str(view.scratch_bytes)]
    found += ["--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 - inside, it is its own
    for place, path in view.readable.items():
        found += ["--ro-bind", str(path), place]
    for place, path in view.owned.items():
        found += ["--bind", str(path), place]
    for hidden in view.hidden:
        found += ["--tmpfs", str(hidden), "--remount-ro", str(hidden)]
    for name, value in variables.items():
        found += ["--setenv", name, value]
    # The root itself is a file system of its own that holds the mounts: nobody writes there.
    return [
        *found,
        "--remount-ro",
        "/",
        "--chdir",
        view.folder,
        *(["--", *command] if command else []),
    ]
