"""Which permissions an operation of Lambda takes.

Source: "Actions, resources, and condition keys for AWS Lambda".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context, Reader
from doppio.kernel.service import Need
from doppio.kernel.tags import ResourceTags
from doppio.services.lambda_.names import layer_named, named
from doppio.services.lambda_.records import Function
from doppio.services.lambda_.records import Mapping as EventSource

_OF_ACCOUNTS = frozenset(
    {
        "ListFunctions",
        "GetAccountSettings",
        "ListEventSourceMappings",
        "ListLayers",
        "ListLayerVersions",
    }
)
_FUNCTION_ARN = "lambda:functionarn"
# Those for which a function with a qualifier is another resource than without.
_QUALIFIED = frozenset({
    "Invoke", "InvokeAsync", "InvokeWithResponseStream",
})  # fmt: skip
_ACTIONS = {
    "Invoke": "lambda:InvokeFunction",
    "InvokeWithResponseStream": "lambda:InvokeFunction",
    "InvokeAsync": "lambda:InvokeAsync",
}


async def _tags(reader: Reader, arn: str) -> Mapping[str, str] | None:
    _, _, _, region, account, kind, name, *_ = arn.split(":")
    if kind == "event-source-mapping":
        mapping = await reader.get(EventSource, account, region, name)
        return None if mapping is None else mapping.tags
    function = await reader.get(Function, account, region, name)
    return None if function is None else function.tags


class _OfMappings(ResourceTags):
    """A mapping's tags, and which function it calls."""

    def knows(self, key: str) -> bool:
        """Whether a condition key is one of these."""
        return key == _FUNCTION_ARN or super().knows(key)

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """The keys that have to be read."""
        _, _, _, region, account, _, name = need.resource.split(":")
        mapping = await ctx.read().get(EventSource, account, region, name)
        function = {} if mapping is None else {_FUNCTION_ARN: mapping.function_arn}
        return {**function, **await super().conditions(ctx, need)}


# Tags are read where a policy asks for one.
_TAGS = ResourceTags(_tags)
_OF_MAPPINGS = _OfMappings(_tags)


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """Each operation's own action, on what it names."""
    action = _ACTIONS.get(operation, f"lambda:{operation}")
    if operation in _OF_ACCOUNTS:
        return (Need(action),)
    keys = _keys(req)
    if "Resource" in req:
        return (Need(action, req["Resource"], keys, beyond=_TAGS),)
    if "LayerName" in req or operation == "GetLayerVersionByArn":
        # By whichever name, it is one action: AWS has none for the other operation.
        action = "lambda:GetLayerVersion" if operation == "GetLayerVersionByArn" else action
        layer = layer_named(ctx, req)
        on = layer.arn if layer.number is None else layer.version_arn
        return (Need(action, on, keys),)
    if "UUID" in req:
        where = f"arn:{ctx.partition}:lambda:{ctx.region}:{ctx.account}"
        arn = f"{where}:event-source-mapping:{req['UUID']}"
        return (Need(action, arn, keys, beyond=_OF_MAPPINGS),)
    which = named(ctx, req)
    if operation == "CreateEventSourceMapping":
        return (Need(action, "*", {**keys, _FUNCTION_ARN: which.qualified}),)
    arn = which.qualified if operation in _QUALIFIED else which.arn
    if "FunctionUrlConfig" in operation:
        keys[_FUNCTION_ARN] = which.qualified
        if req.get("AuthType"):
            keys["lambda:functionurlauthtype"] = req["AuthType"]
    found = [Need(action, arn, keys, beyond=_TAGS)]
    if operation == "CreateFunction" and req.get("Tags"):
        found.append(Need("lambda:TagResource", arn, keys))
    role = req.get("Role", "")
    # One of another account is never passed (`roles.check_role`), whatever policies say.
    if f":{ctx.account}:" in role:
        given = {
            "iam:passedtoservice": "lambda.amazonaws.com",
            "iam:associatedresourcearn": which.arn,
        }
        found.append(Need("iam:PassRole", role, given))
    return found


def _keys(req: Mapping[str, Any]) -> dict[str, Any]:
    """The condition keys that follow from a request alone."""
    keys: dict[str, Any] = {}
    given = req.get("Tags") or {}
    for key, value in given.items():
        keys[f"aws:requesttag/{key.lower()}"] = value
    if given or req.get("TagKeys"):
        keys["aws:tagkeys"] = [*given, *req.get("TagKeys", ())]
    if req.get("Principal"):
        keys["lambda:principal"] = req["Principal"]
    if req.get("FunctionUrlAuthType"):
        keys["lambda:functionurlauthtype"] = req["FunctionUrlAuthType"]
    if req.get("Layers"):
        keys["lambda:layer"] = list(req["Layers"])
    return keys
