"""Which permissions an operation takes.

Source: "Actions, resources, and condition keys for Amazon EventBridge" in the Service Authorization
Reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need
from doppio.services.events.lookup import Place, bus_arn, place_of, rule_arn
from doppio.services.events.records import DEFAULT

DATA_EVENTS = frozenset({"PutEvents"})
_ON_RULES = frozenset(
    {"PutRule", "DeleteRule", "DescribeRule", "EnableRule", "DisableRule", "PutTargets",
     "RemoveTargets", "ListTargetsByRule"}
)  # fmt: skip
_ON_BUSES = frozenset(
    {"CreateEventBus", "UpdateEventBus", "DeleteEventBus", "DescribeEventBus", "PutPermission",
     "RemovePermission"}
)  # fmt: skip
_KINDS = {
    "ArchiveName": "archive",
    "ReplayName": "replay",
}


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action, and the bus, rule or other thing that an operation touches."""
    action = f"events:{operation}"
    if operation == "PutEvents":
        # Which bus hears what is put to an endpoint is known only by looking, so PutEvents asks.
        return () if req.get("EndpointId") else _to_put(ctx, req)
    if operation in _ON_RULES:
        place = place_of(ctx, req.get("EventBusName"))
        arn = rule_arn(ctx, place, req.get("Name") or req["Rule"])
        policy = bus_arn(ctx, place)
        need = Need(action, arn, _rule_keys(operation, req), policy)
        passed = _to_pass(operation, req)
        if operation == "PutRule" and req.get("Tags"):
            return (need, Need("events:TagResource", arn, _tag_keys(req), policy), *passed)
        return (need, *passed)
    if operation in _ON_BUSES:
        name = req.get("EventBusName") if "Permission" in operation else req.get("Name")
        arn = bus_arn(ctx, place_of(ctx, name))
        need = Need(action, arn, _tag_keys(req))
        if operation == "CreateEventBus" and req.get("Tags"):
            return (need, Need("events:TagResource", arn, _tag_keys(req)))
        return (need,)
    if "ResourceARN" in req:
        return (Need(action, req["ResourceARN"], _tag_keys(req)),)
    for member, kind in _KINDS.items():
        if member in req:
            return (Need(action, _arn(ctx, f"{kind}/{req[member]}")),)
    if operation.endswith("EventSource") or "EventSourceName" in req:
        source = req.get("EventSourceName") or req["Name"]
        return (Need(action, f"arn:{ctx.partition}:events:{ctx.region}::event-source/{source}"),)
    if operation.endswith("Endpoint"):
        region = req.get("HomeRegion") or ctx.region
        arn = f"arn:{ctx.partition}:events:{region}:{ctx.account}:endpoint/{req['Name']}"
        return (Need(action, arn),)
    if operation.endswith("Connection"):
        return (Need(action, _arn(ctx, f"connection/{req['Name']}")),)
    if operation.endswith("ApiDestination"):
        return (Need(action, _arn(ctx, f"api-destination/{req['Name']}")),)
    return (Need(action),)


def _arn(ctx: Context, resource: str) -> str:
    return f"arn:{ctx.partition}:events:{ctx.region}:{ctx.account}:{resource}"


def _to_put(ctx: Context, req: Mapping[str, Any]) -> Sequence[Need]:
    """PutEvents on each bus, by source and kind of event.

    What an AWS service tells of itself goes to the default bus of the account whose resource it is,
    and asks nobody.
    """
    found: dict[tuple[Place, str, str], Need] = {}
    for entry in req["Entries"]:
        place = place_of(ctx, entry.get("EventBusName"))
        source, kind = entry.get("Source") or "", entry.get("DetailType") or ""
        if (
            ctx.caller.kind == "service"
            and place == Place(ctx.caller.account, ctx.region, DEFAULT)
            and source.startswith("aws.")
        ):
            continue
        keys = {"events:source": source, "events:detail-type": kind}
        known = (place, source, kind)
        if known not in found:
            found[known] = Need("events:PutEvents", bus_arn(ctx, place), keys)
    return tuple(found.values())


def _to_pass(operation: str, req: Mapping[str, Any]) -> list[Need]:
    """Whoever gives EventBridge a role must be allowed to."""
    if operation == "PutTargets":
        roles = [target.get("RoleArn") for target in req["Targets"]]
    else:
        roles = [req.get("RoleArn")]
    keys = {"iam:passedtoservice": "events.amazonaws.com"}
    return [Need("iam:PassRole", role, keys) for role in dict.fromkeys(roles) if role]


def _rule_keys(operation: str, req: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    if operation == "PutTargets":
        keys["events:targetarn"] = [target["Arn"] for target in req["Targets"]]
    return {**keys, **_tag_keys(req)}


def _tag_keys(req: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {
        f"aws:requesttag/{tag['Key'].lower()}": tag["Value"] for tag in req.get("Tags") or ()
    }
    if req.get("Tags"):
        keys["aws:tagkeys"] = [tag["Key"] for tag in req["Tags"]]
    elif req.get("TagKeys"):
        keys["aws:tagkeys"] = list(req["TagKeys"])
    return keys
