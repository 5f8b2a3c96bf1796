"""events, through the door."""

from __future__ import annotations

from doppio.services.events.service import SERVICE
from doppio.wire import model


def test_every_operation_is_one_of_the_model() -> None:
    assert set(SERVICE.operations) <= set(model.load("events").by_method)
