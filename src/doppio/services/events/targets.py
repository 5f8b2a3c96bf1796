"""Targets: who is told of what a rule wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.paging import page_token, position
from doppio.services.events import limits
from doppio.services.events.bus_rules import check_managed
from doppio.services.events.errors import LimitExceeded, ResourceNotFound, Validation
from doppio.services.events.lookup import bad_token, existing_bus, existing_rule, page, place_of
from doppio.services.events.putting import LANES, lane_of
from doppio.services.events.records import Destination, Lane, Rule
from doppio.services.events.target_rules import check_target
from doppio.wire.arn import parse

if TYPE_CHECKING:
    from doppio._stubs import events as w


class Targets:
    """The operations on targets."""

    async def put_targets(self, ctx: Context, req: w.PutTargetsRequest) -> w.PutTargetsResponse:
        """Add targets to a rule, or change those of the same ids."""
        place = place_of(ctx, req.get("EventBusName"))
        targets = cast("list[dict[str, Any]]", req["Targets"])
        if len(targets) > limits.TARGETS_A_REQUEST_MAX:
            raise LimitExceeded
        if len({target["Id"] for target in targets}) < len(targets):
            raise Validation("Target ids in the request must be unique.")
        for target in targets:
            check_target(target, ctx.kernel.services)
        async with ctx.write() as tx:
            rule = await existing_rule(tx, place, req["Rule"])
            check_managed(ctx, rule, force=False)
            wanted = {**rule.targets, **{target["Id"]: target for target in targets}}
            if len(wanted) > limits.TARGETS_MAX:
                raise LimitExceeded
            for target in targets:
                await _check_there(tx, target)
                lane = lane_of(rule, target["Id"])
                if await tx.get(Lane, lane.id) is None:
                    tx.put(lane)
            tx.put(replace(rule, targets=wanted))
        return {"FailedEntryCount": 0, "FailedEntries": []}

    async def remove_targets(
        self, ctx: Context, req: w.RemoveTargetsRequest
    ) -> w.RemoveTargetsResponse:
        """Take targets off a rule; what is on its way to them still arrives."""
        place = place_of(ctx, req.get("EventBusName"))
        failed: list[w.RemoveTargetsResultEntry] = []
        async with ctx.write() as tx:
            rule = await existing_rule(tx, place, req["Rule"])
            check_managed(ctx, rule, force=bool(req.get("Force")))
            kept = dict(rule.targets)
            for name in req["Ids"]:
                if kept.pop(name, None) is None:
                    failed.append(
                        {
                            "TargetId": name,
                            "ErrorCode": "ResourceNotFoundException",
                            "ErrorMessage": f"Rule {rule.name} does not have a target with Id {name}.",
                        }
                    )
                else:
                    tx.wake(f"{LANES}/{lane_of(rule, name).id}")
            tx.put(replace(rule, targets=kept))
        return {"FailedEntryCount": len(failed), "FailedEntries": failed}

    async def list_targets_by_rule(
        self, ctx: Context, req: w.ListTargetsByRuleRequest
    ) -> w.ListTargetsByRuleResponse:
        """The targets of a rule, as they were put."""
        place = place_of(ctx, req.get("EventBusName"))
        rule = await existing_rule(ctx.read(), place, req["Rule"])
        scope = f"targets/{rule.arn}"
        ids = sorted(rule.targets)
        after = position(req.get("NextToken"), scope, bad_token)
        if after is not None:
            ids = [one for one in ids if one > after.decode()]
        shown = ids[: req.get("Limit") or limits.LISTED_MAX]
        told: dict[str, Any] = {"Targets": [rule.targets[one] for one in shown]}
        if len(shown) < len(ids):
            told["NextToken"] = page_token(shown[-1].encode(), scope)
        return cast("w.ListTargetsByRuleResponse", told)

    async def list_rule_names_by_target(
        self, ctx: Context, req: w.ListRuleNamesByTargetRequest
    ) -> w.ListRuleNamesByTargetResponse:
        """The rules of a bus that tell a target."""
        reader = ctx.read()
        place = place_of(ctx, req.get("EventBusName"))
        await existing_bus(reader, place)
        arn = req["TargetArn"]

        def tells(rule: Rule) -> bool:
            return any(target["Arn"] == arn for target in rule.targets.values())

        found, more = await page(reader, Rule, tuple(place), req, wanted=tells)
        told = {"RuleNames": [rule.name for rule in found], **more}
        return cast("w.ListRuleNamesByTargetResponse", told)


async def _check_there(tx: Any, target: dict[str, Any]) -> None:
    """An API destination must be there when it becomes a target."""
    found = parse(target["Arn"])
    if not found.resource.startswith("api-destination/"):
        return
    name = found.resource.split("/")[1]
    destination = await tx.get(Destination, found.account, found.region, name)
    if destination is None or destination.arn != target["Arn"]:
        raise ResourceNotFound(f"Api Destination {name} does not exist.")
