"""EventBridge Pipes: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.pipes.flow import Flow
from doppio.services.pipes.pipes import Pipes, needs

SERVICE = Service("pipes", groups=[Pipes()], needs=needs, controllers=[Flow()])
