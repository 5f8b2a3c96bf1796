"""Public parameters: what AWS tells everybody of its Regions and their zones.

Source of the names: "Calling AWS service, Region, endpoint, Availability Zone, local zone, and
wavelength zone public parameters"; what they say follows from botocore's endpoint data.
"""

from __future__ import annotations

from functools import cache

from doppio.kernel.regions import regions, zone_id, zones

PUBLIC = "/aws/service/"
_BASE = "/aws/service/global-infrastructure"
_DOMAINS = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-us-gov": "amazonaws.com"}


@cache
def public_parameters(partition: str) -> dict[str, str]:
    """The values by name, in order of the names."""
    found: dict[str, str] = {}
    for region in regions().values():
        if region.partition != partition:
            continue
        base = f"{_BASE}/regions/{region.name}"
        found[base] = region.name
        found[f"{base}/longName"] = region.description
        found[f"{base}/partition"] = region.partition
        if region.partition in _DOMAINS:
            found[f"{base}/domain"] = _DOMAINS[region.partition]
        for zone in zones(region.name):
            name = zone_id(zone)
            found[f"{base}/availability-zones/{name}"] = name
            found[f"{_BASE}/availability-zones/{name}"] = name
            found[f"{_BASE}/availability-zones/{name}/parent-region"] = region.name
    return dict(sorted(found.items()))
