"""Application Auto Scaling: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.application_autoscaling.activities import Activities
from doppio.services.application_autoscaling.permissions import needs
from doppio.services.application_autoscaling.policies import ALARMS, CLEAR, Policies, clear, ensure
from doppio.services.application_autoscaling.scaling import SCALE, scale
from doppio.services.application_autoscaling.scheduled import FIRE, ScheduledActions, fire
from doppio.services.application_autoscaling.targets import Targets

SERVICE = Service(
    "application-autoscaling",
    groups=[Targets(), Policies(), ScheduledActions(), Activities()],
    needs=needs,
    jobs={ALARMS: ensure, CLEAR: clear, SCALE: scale, FIRE: fire},
)
