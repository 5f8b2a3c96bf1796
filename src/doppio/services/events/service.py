"""EventBridge: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.events.archived import FORGET, forget
from doppio.services.events.archives import Archives
from doppio.services.events.bus_policies import BusPolicies
from doppio.services.events.bus_rules import Rules
from doppio.services.events.buses import Buses
from doppio.services.events.connections import Connections
from doppio.services.events.destinations import Destinations
from doppio.services.events.endpoints import Endpoints
from doppio.services.events.event_sources import EventSources
from doppio.services.events.heeding import SUBSCRIPTION, Heeding
from doppio.services.events.lanes import Lanes
from doppio.services.events.mending import MEND, mend
from doppio.services.events.partners import Partners
from doppio.services.events.permissions import DATA_EVENTS, needs
from doppio.services.events.putting import Putting
from doppio.services.events.replays import REPLAY, Replays, replay
from doppio.services.events.replicas import SETTLE, settle
from doppio.services.events.sources import EXPIRE, expire
from doppio.services.events.tagging import Tagging
from doppio.services.events.targets import Targets
from doppio.services.events.ticking import TICK, tick
from doppio.services.events.tokens import AUTHORISE, authorise

SERVICE = Service(
    "events",
    groups=[
        Buses(),
        BusPolicies(),
        Rules(),
        Targets(),
        Putting(),
        Tagging(),
        Connections(),
        Destinations(),
        Archives(),
        Replays(),
        EventSources(),
        Partners(),
        Endpoints(),
    ],
    needs=needs,
    subscriptions=[SUBSCRIPTION],
    data_events=DATA_EVENTS,
    jobs={
        TICK: tick,
        FORGET: forget,
        AUTHORISE: authorise,
        REPLAY: replay,
        EXPIRE: expire,
        SETTLE: settle,
        MEND: mend,
    },
    controllers=[Lanes(), Heeding()],
)
