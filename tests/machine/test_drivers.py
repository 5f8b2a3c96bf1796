"""The drivers of one cloud: made when they are first used."""

from __future__ import annotations

from doppio.machine.drivers import Machine


def test_a_driver_is_made_once_and_only_when_it_is_used() -> None:
    machine = Machine()
    assert "http" not in vars(machine)
    assert machine.http is machine.http
    machine.close()
    Machine().close()
