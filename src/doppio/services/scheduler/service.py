"""EventBridge Scheduler: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.scheduler.firing import DELIVER, FIRE, deliver, fire
from doppio.services.scheduler.groups import EMPTY, Groups, empty
from doppio.services.scheduler.schedules import Schedules, needs

SERVICE = Service(
    "scheduler",
    groups=[Schedules(), Groups()],
    needs=needs,
    jobs={FIRE: fire, DELIVER: deliver, EMPTY: empty},
)
