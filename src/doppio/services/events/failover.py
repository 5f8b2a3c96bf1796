"""Which of a global endpoint's two buses an event is for.

A Region is down when all its zones are, as the operator says (`doppio zone`). AWS asks a health check of
Route 53, which is there to tell just that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from doppio.kernel.context import Context
from doppio.kernel.regions import region_is_up
from doppio.services.events.errors import Validation
from doppio.services.events.lookup import Place, place_of
from doppio.services.events.records import ENDPOINT_IDS, Endpoint

# The states in which an endpoint has an address.
_REACHABLE = frozenset({"ACTIVE", "UPDATING", "UPDATE_FAILED", "DELETING", "DELETE_FAILED"})


class Route(NamedTuple):
    """Where an endpoint leads at the moment."""

    endpoint: Endpoint
    place: Place


async def route_of(ctx: Context, endpoint_id: str) -> Route:
    """The bus that hears what is put to an endpoint: the first Region's, or else the second's.

    Where both are down it is the first, as with Route 53.
    """
    reader = ctx.read()
    found = await reader.find(ENDPOINT_IDS, (endpoint_id,), limit=1)
    if not found or found[0].state not in _REACHABLE:
        raise Validation(f"Parameter EndpointId is not valid. Reason: {endpoint_id} is unknown.")
    endpoint = found[0]
    region = endpoint.region
    if not await region_is_up(reader, region) and await region_is_up(reader, endpoint.secondary):
        region = endpoint.secondary
    return Route(endpoint, Place(endpoint.account, region, endpoint.bus))


def is_for(ctx: Context, entry: Mapping[str, Any], endpoint: Endpoint) -> bool:
    """Whether an entry names the endpoint's bus: by its name, or its ARN in either Region."""
    name = entry.get("EventBusName") or ""
    if not name.startswith("arn:"):
        return (name or "default") == endpoint.bus
    return place_of(ctx, name) in {
        Place(endpoint.account, region, endpoint.bus)
        for region in (endpoint.region, endpoint.secondary)
    }
