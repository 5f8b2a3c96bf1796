"""Programs in environments: what they see, what they may have, and that they end."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from doppio.machine.environments import Environments
from tests.machine.guests import (
    MEGABYTE,
    alive,
    environments,
    needs_groups,
    needs_linux,
    needs_sandbox,
    outcome,
    plan,
    tree,
    until,
)

BOTH = pytest.mark.parametrize("plain", [False, True], ids=["sandbox", "plain"])


@BOTH
def test_a_program_runs_and_is_heard_to_its_last_word(tmp_path: Path, plain: bool) -> None:
    async def story() -> None:
        async with environments(tmp_path, plain=plain) as made:
            code = "import os; print(os.environ['GREETING'], flush=True); os.write(2, b'end')\nos._exit(3)"
            status, said, environment = await outcome(made, plan(code))
            assert (status, said) == (3, "hello\nend")
            assert environment.peak_bytes > 0

    asyncio.run(story())


@needs_linux
def test_a_program_sees_nothing_that_it_was_not_given(tmp_path: Path) -> None:
    needs_sandbox()
    secret, given = tmp_path / "secret", tmp_path / "given"
    secret.write_text("hidden")
    given.mkdir()
    (given / "file").write_text("shown")

    async def story() -> None:
        code = f"""
import os
print(open('/given/file').read())
for path in ({str(secret)!r}, {str(tmp_path)!r}, '/home', '/etc/shadow', '/var/log'):
    assert not os.path.exists(path), path
for path in ('/given/new', '/new', '/usr/new'):
    try:
        open(path, 'w')
    except OSError:
        continue
    raise AssertionError(path)
open('/tmp/mine', 'w').write('x' * 1000)
try:
    open('/tmp/mine', 'w').write('x' * 9_000_000)
except OSError as error:
    print(error.strerror)
print(len([one for one in os.listdir('/proc') if one.isdigit()]) < 5, os.getuid())
"""
        async with environments(tmp_path / "run") as made:
            status, said, _ = await outcome(made, plan(code, given=given))
            assert (status, said.splitlines()) == (
                0, ["shown", "No space left on device", "True 993"],
            ), said  # fmt: skip

    asyncio.run(story())


@needs_linux
@BOTH
def test_a_program_that_takes_too_much_memory_is_killed(tmp_path: Path, plain: bool) -> None:
    needs_groups()

    async def story() -> None:
        async with environments(tmp_path, plain=plain) as made:
            greedy = plan("b = bytearray(200_000_000); print('got it')", memory=64 * MEGABYTE)
            status, said, environment = await outcome(made, greedy)
            assert status in (137, -9)
            assert "got it" not in said
            assert environment.out_of_memory
            assert environment.peak_bytes <= 64 * MEGABYTE

    asyncio.run(story())


@needs_linux
def test_a_program_may_start_only_so_many_others(tmp_path: Path) -> None:
    needs_groups()
    code = """
import os, signal
children = []
try:
    while len(children) < 100:
        children.append(os.fork() or signal.pause())
except BlockingIOError:
    print("no more")
for child in children:
    os.kill(child, 9)
"""

    async def story() -> None:
        async with environments(tmp_path) as made:
            if made.groups is None or made.groups._counting is None:
                pytest.skip("processes are not counted on this machine")
            status, said, _ = await outcome(made, plan(code)._replace(processes_max=30))
            assert (status, said) == (0, "no more\n")

    asyncio.run(story())


@needs_linux
def test_without_control_groups_address_space_is_what_is_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        async with environments(tmp_path, plain=True) as made:
            made.__dict__["groups"] = None
            greedy = plan("b = bytearray(3_000_000_000); print('got it')", memory=64 * MEGABYTE)
            status, said, environment = await outcome(made, greedy)
            assert status == 1
            assert "MemoryError" in said
            assert not environment.out_of_memory
            assert "address space" in made.isolation

    asyncio.run(story())


@needs_linux
@BOTH
def test_nothing_lives_after_its_environment(tmp_path: Path, plain: bool) -> None:
    code = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], stdout=subprocess.DEVNULL)
print('up', flush=True)
time.sleep(60)
"""

    async def story() -> None:
        async with environments(tmp_path, plain=plain) as made:
            said: list[bytes] = []
            environment = await made.start(plan(code))
            environment.heard = said.append
            await until(lambda: b"up" in b"".join(said))
            family = tree(environment.pid)
            assert len(family) >= 2
            environment.kill()
            await asyncio.wait_for(environment.ended, 10)
            await until(lambda: not any(alive(pid) for pid in family))
            environment.kill()  # again is no error
        assert not (tmp_path / str(os.getpid())).exists()

    asyncio.run(story())


@needs_linux
def test_a_frozen_program_stands_still_until_it_is_thawed(tmp_path: Path) -> None:
    code = "import time\nwhile True:\n    print('.', flush=True)\n    time.sleep(0.01)"

    async def story() -> None:
        async with environments(tmp_path) as made:
            said: list[bytes] = []
            environment = await made.start(plan(code))
            environment.heard = said.append
            await until(lambda: len(said) > 2)
            environment.freeze()
            await asyncio.sleep(0.1)
            environment.drain()
            before = len(said)
            await asyncio.sleep(0.2)
            assert len(said) == before
            environment.thaw()
            await until(lambda: len(said) > before)
            environment.freeze()
            environment.kill()
            await asyncio.wait_for(environment.ended, 10)

    asyncio.run(story())


def test_folders_of_dead_processes_are_swept(tmp_path: Path) -> None:
    (tmp_path / "999999999" / "left").mkdir(parents=True)
    (tmp_path / str(os.getppid())).mkdir()

    async def story() -> None:
        async with environments(tmp_path) as made:
            made.folder("x")
            assert not (tmp_path / "999999999").exists()
            assert (tmp_path / str(os.getppid())).exists()

    asyncio.run(story())


def test_what_a_dead_cloud_left_goes_once_and_takes_nothing_new_along(tmp_path: Path) -> None:
    root = tmp_path / "environments"
    # The number of a process comes again: the same folder may be a dead one's.
    (root / str(os.getpid()) / "old").mkdir(parents=True)
    for number in range(200):
        (root / str(os.getpid()) / "old" / str(number)).touch()
    made = Environments(root)
    with ThreadPoolExecutor(8) as threads:
        folders = list(threads.map(made.folder, [f"new-{number}" for number in range(32)]))
    assert all(folder.is_dir() for folder in folders)
    assert not (root / str(os.getpid()) / "old").exists()
