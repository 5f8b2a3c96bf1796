"""CloudWatch Logs: the table of contents."""

from __future__ import annotations

from doppio.kernel.events import Subscription
from doppio.kernel.service import Service
from doppio.services.logs.bringing import Bringing, hand_on
from doppio.services.logs.groups import Groups
from doppio.services.logs.intake import Arrived, Intake
from doppio.services.logs.metric_filters import MetricFilters, measure
from doppio.services.logs.permissions import needs
from doppio.services.logs.policies import Policies
from doppio.services.logs.reading import Reading
from doppio.services.logs.retention import EXPIRE, PURGE, REMOVE, expire, purge, remove
from doppio.services.logs.streams import Streams
from doppio.services.logs.subscription_filters import SubscriptionFilters
from doppio.services.logs.tagging import Tagging

SERVICE = Service(
    "logs",
    groups=[
        Groups(),
        Streams(),
        Intake(),
        Reading(),
        Policies(),
        Tagging(),
        MetricFilters(),
        SubscriptionFilters(),
    ],
    needs=needs,
    data_events=["PutLogEvents", "GetLogEvents", "FilterLogEvents"],
    jobs={EXPIRE: expire, PURGE: purge, REMOVE: remove},
    subscriptions=[
        Subscription("logs.measure", (Arrived,), measure),
        Subscription("logs.bring", (Arrived,), hand_on),
    ],
    controllers=[Bringing()],
)
