"""What can be scaled in this cloud, and how: tables of DynamoDB and their global indexes.

Each is asked and changed by its service's public operations, as the role of Application Auto
Scaling in the account, so that what the role may not do is not done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from doppio.kernel.context import Context
from doppio.services.application_autoscaling.errors import Validation
from doppio.services.application_autoscaling.records import Target
from doppio.wire.errors import AccessDenied, AwsError, NotImplementedByDoppio

_RESOURCE = re.compile(r"table/([a-zA-Z0-9_.-]{3,255})(?:/index/([a-zA-Z0-9_.-]{3,255}))?")
PRINCIPAL = "dynamodb.application-autoscaling"
ROLE = "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"
_SESSION = "AutoScaling-UpdateTable"


class Dimension(NamedTuple):
    """A table's or index's reads or writes. `metric` is the predefined one of its use."""

    table: str
    gsi: str | None
    kind: str

    @property
    def metric(self) -> str:
        """The predefined metric of its use."""
        return f"DynamoDB{self.kind}CapacityUtilization"

    @property
    def words(self) -> str:
        """What AWS calls it in sentences."""
        return f"{self.kind.lower()} capacity units"

    def consumed(self) -> dict[str, Any]:
        """The metric of what it consumes."""
        return self._metric(f"Consumed{self.kind}CapacityUnits")

    def bought(self) -> dict[str, Any]:
        """The metric of what it may consume."""
        return self._metric(f"Provisioned{self.kind}CapacityUnits")

    def _metric(self, name: str) -> dict[str, Any]:
        dimensions = [{"Name": "TableName", "Value": self.table}]
        if self.gsi is not None:
            dimensions.append({"Name": "GlobalSecondaryIndexName", "Value": self.gsi})
        return {"Namespace": "AWS/DynamoDB", "MetricName": name, "Dimensions": dimensions}


def dimension_of(namespace: str, resource: str, dimension: str) -> Dimension:
    """What names mean together. Raises Validation, or NotImplementedByDoppio for other services."""
    if not dimension.startswith(f"{namespace}:"):
        raise Validation("Unsupported service namespace, resource type or scalable dimension")
    if namespace != "dynamodb":
        raise NotImplementedByDoppio(
            f"application-autoscaling: {dimension} exists in AWS and not yet in this cloud"
        )
    found = _RESOURCE.fullmatch(resource)
    _, kind, units = dimension.split(":")
    if found is None or (found[2] is not None) != (kind == "index"):
        raise Validation("Unsupported service namespace, resource type or scalable dimension")
    return Dimension(found[1], found[2], units.removesuffix("CapacityUnits"))


def role_arn(ctx: Context) -> str:
    """The ARN of the role that Application Auto Scaling has for DynamoDB in an account."""
    path = f"aws-service-role/{PRINCIPAL}.amazonaws.com"
    return f"arn:{ctx.partition}:iam::{ctx.account}:role/{path}/{ROLE}"


async def ensured(ctx: Context) -> Context:
    """The same call as the service's role; where the role is not there, it is made as the caller, who
    must be allowed to."""
    arn = role_arn(ctx)
    try:
        return await _as_role(ctx, arn, arn)
    except AccessDenied:
        req = {"AWSServiceName": f"{PRINCIPAL}.amazonaws.com"}
        try:
            await ctx.call("iam", "create_service_linked_role", req)
        except AwsError as error:
            if error.code != "InvalidInput":  # It has been made meanwhile.
                raise
    return await _as_role(ctx, arn, arn)


async def acting(ctx: Context, target: Target) -> Context:
    """The same call as the service's role. Raises AccessDenied where it is gone."""
    return await _as_role(ctx, target.role, target.arn)


async def _as_role(ctx: Context, role: str, source: str) -> Context:
    return await ctx.as_role(role, PRINCIPAL, source=source, session=_SESSION)


async def current(ctx: Context, of: Dimension) -> int:
    """How much there is now. Raises Validation for a table or index that is not there."""
    try:
        got = await ctx.call("dynamodb", "describe_table", {"TableName": of.table})
    except AwsError as error:
        if error.code != "ResourceNotFoundException":
            raise
        raise Validation(f"DynamoDB table does not exist: table/{of.table}") from error
    units: int = _holder(got["Table"], of)["ProvisionedThroughput"][f"{of.kind}CapacityUnits"]
    return units


async def change(ctx: Context, of: Dimension, units: int) -> None:
    """Buy so much; the other direction stays as it is."""
    got = await ctx.call("dynamodb", "describe_table", {"TableName": of.table})
    now = _holder(got["Table"], of)["ProvisionedThroughput"]
    bought = {name: now[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}
    bought[f"{of.kind}CapacityUnits"] = units
    req: dict[str, Any] = {"TableName": of.table}
    if of.gsi is None:
        req["ProvisionedThroughput"] = bought
    else:
        update = {"IndexName": of.gsi, "ProvisionedThroughput": bought}
        req["GlobalSecondaryIndexUpdates"] = [{"Update": update}]
    await ctx.call("dynamodb", "update_table", req)


def _holder(table: Mapping[str, Any], of: Dimension) -> Mapping[str, Any]:
    if of.gsi is None:
        return table
    for one in table.get("GlobalSecondaryIndexes", ()):
        if one["IndexName"] == of.gsi:
            found: Mapping[str, Any] = one
            return found
    raise Validation(
        f"DynamoDB global secondary index does not exist: table/{of.table}/index/{of.gsi}"
    )
