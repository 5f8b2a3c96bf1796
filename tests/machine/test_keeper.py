"""The program that binds itself before it becomes another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from doppio.machine import keeper
from tests.machine.guests import needs_linux

SCRIPT = keeper.__file__


def kept(*program: str, address: int = 0, folder: str = "/", variables: bytes = b"") -> str:
    """What a program says that the keeper has become."""
    with tempfile.TemporaryFile() as file:
        file.write(variables)
        file.seek(0)
        done = subprocess.run(
            [sys.executable, "-I", "-S", SCRIPT, str(os.getpid()), "", str(address), folder,
             str(file.fileno()), *program],
            pass_fds=[file.fileno()], env={"LD_PRELOAD_NOT": "here"}, capture_output=True,
            text=True, timeout=20, check=False,
        )  # fmt: skip
    return done.stdout + done.stderr


def test_it_takes_its_folder_and_its_variables_and_no_others(tmp_path: Path) -> None:
    assert kept("/bin/pwd", folder=str(tmp_path)).strip() == str(tmp_path)
    assert kept("/usr/bin/env", variables=b"A=1\0B=x=y\0") == "A=1\nB=x=y\n"


def test_address_space_is_bounded() -> None:
    code = "b = bytearray(900_000_000); print('got it')"
    assert "got it" in kept(sys.executable, "-c", code)
    assert "MemoryError" in kept(sys.executable, "-c", code, address=500_000_000)


@needs_linux
def test_it_dies_with_the_process_that_has_started_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    child = f"import os,time; open({str(told)!r},'w').write(str(os.getpid())); time.sleep(60)"
    starter = (
        "import os,subprocess,sys,tempfile,time\n"
        "f = tempfile.TemporaryFile()\n"
        f"subprocess.Popen([sys.executable,'-I','-S',{SCRIPT!r},str(os.getpid()),'','0','/',"
        f"str(f.fileno()),sys.executable,'-c',{child!r}],pass_fds=[f.fileno()])\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", starter])
    while not (told.exists() and told.read_text()):
        time.sleep(0.01)
    pid = int(told.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.01)
    raise AssertionError("it lives on without its parent")
