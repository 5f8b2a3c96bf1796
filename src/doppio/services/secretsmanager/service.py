"""Secrets Manager: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Need, Service
from doppio.services.secretsmanager.forgetting import PURGE, ROTATE
from doppio.services.secretsmanager.lists import Lists
from doppio.services.secretsmanager.passwords import Passwords
from doppio.services.secretsmanager.policies import Policies
from doppio.services.secretsmanager.replicas import Replicas, of_request
from doppio.services.secretsmanager.rotation import TRY, Rotations, attempt, rotate
from doppio.services.secretsmanager.secrets import Secrets, purge
from doppio.services.secretsmanager.values import Values

_ON_NO_SECRET = frozenset({"ListSecrets", "GetRandomPassword", "BatchGetSecretValue"})


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """What concerns no secret that is there; the others ask themselves, with the secret's ARN."""
    if operation in _ON_NO_SECRET:
        return (Need(f"secretsmanager:{operation}"),)
    if operation != "CreateSecret":
        return ()
    base = f"arn:{ctx.partition}:secretsmanager:{ctx.region}:{ctx.account}:secret:"
    keys: dict[str, Any] = {"secretsmanager:name": req["Name"], **of_request(req)}
    for member in ("Description", "KmsKeyId", "Type"):
        if req.get(member):
            keys[f"secretsmanager:{member.lower()}"] = req[member]
    if req.get("Tags"):
        keys["aws:tagkeys"] = [tag["Key"] for tag in req["Tags"]]
    for tag in req.get("Tags") or []:
        keys[f"aws:requesttag/{tag['Key'].lower()}"] = tag.get("Value", "")
    create = Need("secretsmanager:CreateSecret", base + req["Name"], keys)
    needed = [create]
    if req.get("Tags"):
        needed.append(Need("secretsmanager:TagResource", base + req["Name"], keys))
    if req.get("AddReplicaRegions"):
        needed.append(Need("secretsmanager:ReplicateSecretToRegions", base + req["Name"], keys))
    return needed


SERVICE = Service(
    "secretsmanager",
    groups=[Secrets(), Values(), Lists(), Policies(), Passwords(), Replicas(), Rotations()],
    needs=needs,
    jobs={PURGE: purge, ROTATE: rotate, TRY: attempt},
)
