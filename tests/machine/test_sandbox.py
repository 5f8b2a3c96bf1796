"""The command line of the sandbox."""

from __future__ import annotations

from pathlib import Path

from doppio.machine.sandbox import View, arguments


def pairs(said: list[str], option: str, count: int) -> list[tuple[str, ...]]:
    """What follows each use of an option."""
    return [tuple(said[at + 1 : at + 1 + count]) for at, word in enumerate(said) if word == option]


def test_nothing_is_seen_but_what_is_named(tmp_path: Path) -> None:
    for name in ("usr", "lib64", "etc", "home", "var"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "etc" / "hosts").touch()
    (tmp_path / "etc" / "shadow").touch()
    code = {"/var/task": tmp_path / "code"}
    view = View(code, 4096, "/var/task", hidden=(Path("/usr/lib/x"),))
    said = arguments(view, ("/bin/true",), {"A": "b c"}, root=tmp_path)
    assert {inside for _, inside in pairs(said, "--ro-bind", 2)} == {
        "/usr", "/lib64", "/etc/hosts", "/var/task",
    }  # fmt: skip
    assert pairs(said, "--symlink", 2) == [("usr/bin", "/bin")]
    assert pairs(said, "--bind", 2) == []
    assert ("/usr/lib/x",) in pairs(said, "--tmpfs", 1)
    assert ("/usr/lib/x",) in pairs(said, "--remount-ro", 1)
    assert pairs(said, "--size", 1) == [("4096",)]
    assert pairs(said, "--setenv", 2) == [("A", "b c")]
    assert said[-2:] == ["--", "/bin/true"]
    assert pairs(said, "--cap-drop", 1) == [("ALL",)]
    for option in ("--die-with-parent", "--clearenv", "--unshare-pid", "--unshare-user"):
        assert option in said
    assert "--unshare-net" not in said
