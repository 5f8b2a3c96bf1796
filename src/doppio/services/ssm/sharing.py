"""Resource policies of parameters: who in other accounts may read one.

A parameter that is shared is called by its ARN. Source: "Working with shared parameters in Parameter
Store".
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from doppio.kernel.authorise import check_policy_document, put_resource
from doppio.kernel.context import Context, Reader
from doppio.services.ssm import limits
from doppio.services.ssm.errors import (
    InvalidNextToken,
    MalformedResourcePolicyDocument,
    ResourceNotFound,
    ResourcePolicyConflict,
    ResourcePolicyInvalidParameter,
    ResourcePolicyLimitExceeded,
    ResourcePolicyNotFound,
)
from doppio.services.ssm.records import Parameter, Version
from doppio.services.ssm.rules import split_selector
from doppio.services.ssm.sealing import OWN_KEY
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import ssm as w


class Sharing:
    """The operations on resource policies."""

    async def put_resource_policy(
        self, ctx: Context, req: w.PutResourcePolicyRequest
    ) -> w.PutResourcePolicyResponse:
        """Set who else may read a parameter; it counts for the next request."""
        text = req["Policy"]
        if len(text.encode()) > limits.POLICY_BYTES_MAX:
            raise ResourcePolicyLimitExceeded(
                f"A policy can't be greater than {limits.POLICY_BYTES_MAX} bytes in size."
            )
        try:
            check_policy_document(text, needs_principal=True, partition=ctx.partition)
        except ValueError as error:
            raise MalformedResourcePolicyDocument(str(error)) from error
        async with ctx.write() as tx:
            parameter = await _found(tx, req["ResourceArn"])
            newest = await tx.get(
                Version, parameter.account, parameter.region, parameter.name, parameter.version
            )
            _check_sharable(parameter, newest)
            if "PolicyId" in req or "PolicyHash" in req:
                _check_hash(parameter, req.get("PolicyId", ""), req.get("PolicyHash", ""))
            elif parameter.policy:
                raise ResourcePolicyLimitExceeded(
                    "A parameter has one resource policy. Specify its PolicyId and PolicyHash to "
                    "update it."
                )
            policy_id = parameter.policy_id or ctx.new_id()
            tx.put(replace(parameter, policy=text, policy_id=policy_id))
            put_resource(tx, parameter.arn, parameter.account, text)
            tx.meter("PS-Param-Requests")
        return {"PolicyId": policy_id, "PolicyHash": _hash(text)}

    async def get_resource_policies(
        self, ctx: Context, req: w.GetResourcePoliciesRequest
    ) -> w.GetResourcePoliciesResponse:
        """Who else may read a parameter."""
        parameter = await _found(ctx.read(), req["ResourceArn"])
        if "NextToken" in req:
            # All there can be is on the first page.
            raise InvalidNextToken
        told = []
        if parameter.policy:
            told.append(
                {
                    "PolicyId": parameter.policy_id,
                    "PolicyHash": _hash(parameter.policy),
                    "Policy": parameter.policy,
                }
            )
        return {"Policies": cast("list[w.GetResourcePoliciesResponseEntry]", told)}

    async def delete_resource_policy(
        self, ctx: Context, req: w.DeleteResourcePolicyRequest
    ) -> w.DeleteResourcePolicyResponse:
        """Leave a parameter to its own account."""
        async with ctx.write() as tx:
            parameter = await _found(tx, req["ResourceArn"])
            _check_hash(parameter, req["PolicyId"], req["PolicyHash"])
            tx.put(replace(parameter, policy="", policy_id=""))
            put_resource(tx, parameter.arn, parameter.account)
            tx.meter("PS-Param-Requests")
        return {}


def _check_sharable(parameter: Parameter, newest: Version | None) -> None:
    if parameter.tier != "Advanced":
        raise ResourcePolicyInvalidParameter(
            "Only parameters of the advanced-parameter tier can be shared."
        )
    if newest is not None and newest.key == OWN_KEY:
        raise ResourcePolicyInvalidParameter(
            "A SecureString parameter that is encrypted with an AWS managed key can't be shared."
        )


def _check_hash(parameter: Parameter, policy_id: str, policy_hash: str) -> None:
    if not parameter.policy or policy_id != parameter.policy_id:
        raise ResourcePolicyNotFound
    if policy_hash != _hash(parameter.policy):
        raise ResourcePolicyConflict


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _found(reader: Reader, arn: str) -> Parameter:
    ctx = reader.context
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "ssm":
        raise ResourcePolicyInvalidParameter(f"Invalid resource ARN: {arn}")
    if not parts[5].startswith("parameter/"):
        kind = parts[5].partition("/")[0]
        raise NotImplementedByDoppio(f"ssm: policies of a {kind} exist in AWS and not here")
    name, _ = split_selector(arn)
    for one in (name, f"/{name}"):
        found = await reader.get(Parameter, ctx.account, ctx.region, one)
        if found is not None and found.arn == arn:
            return found
    raise ResourceNotFound(f"The parameter {arn} doesn't exist.")
