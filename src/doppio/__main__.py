"""`python -m doppio`."""

from __future__ import annotations

from doppio.cli.main import main

main(prog_name="doppio")
