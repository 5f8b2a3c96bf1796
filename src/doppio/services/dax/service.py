"""DAX: the table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.dax.clusters import Clusters
from doppio.services.dax.happenings import NOTIFY, Happenings, notify
from doppio.services.dax.parameter_groups import ParameterGroups
from doppio.services.dax.permissions import needs
from doppio.services.dax.subnet_groups import SubnetGroups
from doppio.services.dax.tagging import Tagging
from doppio.services.dax.upkeep import Upkeep

SERVICE = Service(
    "dax",
    groups=[Clusters(), ParameterGroups(), SubnetGroups(), Happenings(), Tagging()],
    needs=needs,
    jobs={NOTIFY: notify},
    controllers=[Upkeep()],
)
