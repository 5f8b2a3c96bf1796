"""Secrets Manager: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.secretsmanager.lists import Lists
from doppio.services.secretsmanager.passwords import Passwords
from doppio.services.secretsmanager.policies import Policies
from doppio.services.secretsmanager.secrets import PURGE, Secrets, purge
from doppio.services.secretsmanager.values import Values

_ON_NO_SECRET = frozenset({"ListSecrets", "GetRandomPassword", "BatchGetSecretValue"})


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """What concerns no secret that is there; the others ask themselves, with the secret's ARN."""
    if operation in _ON_NO_SECRET:
        return (Need(f"secretsmanager:{operation}"),)
    if operation != "CreateSecret":
        return ()
    base = f"arn:{ctx.partition}:secretsmanager:{ctx.region}:{ctx.account}:secret:"
    keys = {"secretsmanager:name": req["Name"]}
    if req.get("KmsKeyId"):
        keys["secretsmanager:kmskeyid"] = req["KmsKeyId"]
    for tag in req.get("Tags") or []:
        keys[f"aws:requesttag/{tag['Key'].lower()}"] = tag.get("Value", "")
    create = Need("secretsmanager:CreateSecret", base + req["Name"], keys)
    if req.get("Tags"):
        return (create, Need("secretsmanager:TagResource", base + req["Name"], keys))
    return (create,)


SERVICE = Service(
    "secretsmanager",
    groups=[Secrets(), Values(), Lists(), Policies(), Passwords()],
    needs=needs,
    jobs={PURGE: purge},
)
