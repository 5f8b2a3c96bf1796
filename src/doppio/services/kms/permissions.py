"""Which permissions an operation takes, where no key is concerned.

The operations on keys ask themselves (`access.check`), once they know the key's real ARN. Source:
"Actions, resources, and condition keys for AWS Key Management Service".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need
from doppio.services.kms import conditions

_ON_NO_KEY = frozenset({
    "ListKeys", "ListAliases", "GenerateRandom", "CreateCustomKeyStore",
    "DescribeCustomKeyStores", "UpdateCustomKeyStore", "ConnectCustomKeyStore",
    "DisconnectCustomKeyStore", "DeleteCustomKeyStore",
})  # fmt: skip
_ON_ALIAS = frozenset({"CreateAlias", "UpdateAlias", "DeleteAlias"})


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action on everything, or on the alias."""
    if operation == "CreateKey":
        keys = conditions.of_creation(ctx, req)
        needed = [Need("kms:CreateKey", "*", keys)]
        if req.get("Tags"):
            needed.append(Need("kms:TagResource", "*", keys))
        return needed
    if operation in _ON_NO_KEY:
        return (Need(f"kms:{operation}", "*", {"kms:calleraccount": ctx.caller.account}),)
    if operation in _ON_ALIAS:
        arn = f"arn:{ctx.partition}:kms:{ctx.region}:{ctx.account}:{req['AliasName']}"
        return (Need(f"kms:{operation}", arn, {"kms:calleraccount": ctx.caller.account}),)
    return ()
