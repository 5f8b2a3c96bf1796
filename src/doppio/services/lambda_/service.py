"""Lambda: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.lambda_.functions import SETTLE, Functions, settle
from doppio.services.lambda_.packages import FORGET, forget
from doppio.services.lambda_.permissions import needs

SERVICE = Service(
    "lambda",
    groups=[Functions()],
    needs=needs,
    jobs={SETTLE: settle, FORGET: forget},
)
