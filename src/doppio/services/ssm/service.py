"""SSM: the table of contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from doppio.kernel.context import Context
from doppio.kernel.service import Granted, Need, Service
from doppio.services.ssm.labels import Labels
from doppio.services.ssm.parameters import EXPIRE, Parameters, expire
from doppio.services.ssm.policies import NOTIFY, notify, policies_of
from doppio.services.ssm.public import PUBLIC
from doppio.services.ssm.reading import SECRETS, Reading
from doppio.services.ssm.records import Parameter, arn_of
from doppio.services.ssm.rules import split_selector
from doppio.services.ssm.settings import Settings, setting_name
from doppio.services.ssm.sharing import Sharing
from doppio.services.ssm.tagging import Tagging

_TAGS = ("aws:resourcetag/", "ssm:resourcetag/")


def needs(ctx: Context, operation: str, req: Mapping[str, Any]) -> Sequence[Need]:
    """The action on each parameter that is named.

    Source: "Actions, resources, and condition keys for AWS Systems Manager".
    """
    if "SettingId" in req:
        name = setting_name(req["SettingId"])
        arn = f"arn:{ctx.partition}:ssm:{ctx.region}:{ctx.account}:servicesetting{name}"
        return (Need(f"ssm:{operation}", arn),)
    if "ResourceArn" in req:
        return (Need(f"ssm:{operation}", req["ResourceArn"], beyond=Tags(req["ResourceArn"])),)
    names = req.get("Names") or [
        req[member] for member in ("Name", "Path", "ResourceId") if member in req
    ]
    if not names:
        return (Need(f"ssm:{operation}", f"arn:{ctx.partition}:ssm:{ctx.region}:{ctx.account}:*"),)
    given = req.get("Tags") or []
    keys: dict[str, Any] = {f"aws:requesttag/{one['Key'].lower()}": one["Value"] for one in given}
    if given or "TagKeys" in req:
        keys["aws:tagkeys"] = [one["Key"] for one in given] or list(req["TagKeys"])
    if operation == "PutParameter":
        keys["ssm:overwrite"] = str(bool(req.get("Overwrite"))).lower()
        kinds = [one.kind for one in policies_of(req.get("Policies"))]
        if kinds:
            keys["ssm:policies"] = kinds
    if "Recursive" in req:
        keys["ssm:recursive"] = str(req["Recursive"]).lower()
    found = [
        Need(f"ssm:{operation}", _arn(ctx, name), keys, beyond=Tags(_arn(ctx, name)))
        for name in names
        if not name.startswith(SECRETS)
    ]
    if operation == "PutParameter" and req.get("Tags"):
        found.append(Need("ssm:AddTagsToResource", _arn(ctx, req["Name"]), keys))
    return found


class Tags:
    """The tags of a parameter, read only where a policy asks for them."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def knows(self, key: str) -> bool:
        """Only its tags are to be read."""
        return key.startswith(_TAGS)

    async def conditions(self, ctx: Context, need: Need) -> Mapping[str, Any]:
        """Each tag, under both of its names."""
        parts = self._arn.split(":", 5)
        name = parts[5].removeprefix("parameter/")
        for one in (name, f"/{name}"):
            found = await ctx.read().get(Parameter, parts[4], parts[3], one)
            if found is not None:
                return {
                    f"{prefix}{tag.lower()}": value
                    for tag, value in found.tags.items()
                    for prefix in _TAGS
                }
        return {}

    async def grants(self, ctx: Context, need: Need) -> Granted | None:
        """Parameters have no lists of access."""
        return None


def _arn(ctx: Context, name: str) -> str:
    bare, _ = split_selector(name)
    if name.startswith("arn:"):
        parts = name.split(":", 5)
        return arn_of(parts[1], parts[3], parts[4], bare)
    account = "" if f"{bare.rstrip('/')}/".startswith(PUBLIC) else ctx.account
    return arn_of(ctx.partition, ctx.region, account, bare)


SERVICE = Service(
    "ssm",
    groups=[Parameters(), Reading(), Labels(), Tagging(), Sharing(), Settings()],
    needs=needs,
    jobs={EXPIRE: expire, NOTIFY: notify},
)
