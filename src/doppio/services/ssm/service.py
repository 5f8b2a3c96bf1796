"""SSM: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.ssm.labels import Labels
from doppio.services.ssm.parameters import EXPIRE, Parameters, expire
from doppio.services.ssm.policies import NOTIFY, notify
from doppio.services.ssm.reading import SECRETS, Reading
from doppio.services.ssm.records import arn_of
from doppio.services.ssm.rules import split_selector
from doppio.services.ssm.tagging import Tagging


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action on each parameter that is named.

    Source: "Actions, resources, and condition keys for AWS Systems Manager".
    """
    names = req.get("Names") or [
        req[member] for member in ("Name", "Path", "ResourceId") if member in req
    ]
    if not names:
        return (Need(f"ssm:{operation}", f"arn:{ctx.partition}:ssm:{ctx.region}:{ctx.account}:*"),)
    keys: dict[str, Any] = {
        f"aws:requesttag/{one['Key'].lower()}": one["Value"] for one in req.get("Tags") or []
    }
    if operation == "PutParameter":
        keys["ssm:overwrite"] = str(bool(req.get("Overwrite"))).lower()
    if "Recursive" in req:
        keys["ssm:recursive"] = str(req["Recursive"]).lower()
    found = [
        Need(f"ssm:{operation}", _arn(ctx, name), keys)
        for name in names
        if not name.startswith(SECRETS)
    ]
    if operation == "PutParameter" and req.get("Tags"):
        found.append(Need("ssm:AddTagsToResource", _arn(ctx, req["Name"]), keys))
    return found


def _arn(ctx: Context, name: str) -> str:
    return arn_of(ctx.partition, ctx.region, ctx.account, split_selector(name)[0])


SERVICE = Service(
    "ssm",
    groups=[Parameters(), Reading(), Labels(), Tagging()],
    needs=needs,
    jobs={EXPIRE: expire, NOTIFY: notify},
)
