"""s3control, through the door."""

from __future__ import annotations

from doppio.services.s3control.service import SERVICE
from doppio.wire import model


def test_every_operation_is_one_of_the_model() -> None:
    assert set(SERVICE.operations) <= set(model.load("s3control").by_method)
