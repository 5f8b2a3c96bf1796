"""Service settings: which tier new parameters have, and how fast parameters may be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from doppio.kernel.context import Context, Reader
from doppio.services.ssm.errors import ServiceSettingNotFound, Validation
from doppio.services.ssm.records import Setting
from doppio.wire.errors import NotImplementedByDoppio

if TYPE_CHECKING:
    from doppio._stubs import ssm as w

TIER = "/ssm/parameter-store/default-parameter-tier"
THROUGHPUT = "/ssm/parameter-store/high-throughput-enabled"
_VALUES = {
    TIER: ("Standard", "Advanced", "Intelligent-Tiering"),
    THROUGHPUT: ("false", "true"),
}
# Settings of those parts of Systems Manager that are not here.
_ELSEWHERE = (
    "/ssm/appmanager/", "/ssm/automation/", "/ssm/documents/", "/ssm/managed-instance/",
    "/ssm/opsinsights/",
)  # fmt: skip


class Settings:
    """The operations on service settings."""

    async def get_service_setting(
        self, ctx: Context, req: w.GetServiceSettingRequest
    ) -> w.GetServiceSettingResult:
        """A setting as it counts in the account and Region."""
        name = _known(req["SettingId"])
        setting = await ctx.read().get(Setting, ctx.account, ctx.region, name)
        return {"ServiceSetting": cast("w.ServiceSetting", _told(ctx, name, setting))}

    async def update_service_setting(
        self, ctx: Context, req: w.UpdateServiceSettingRequest
    ) -> w.UpdateServiceSettingResult:
        """Set it; it counts for the next request."""
        name = _known(req["SettingId"])
        if req["SettingValue"] not in _VALUES[name]:
            raise Validation(
                f"The setting value {req['SettingValue']} is not valid for {name}. Valid values: "
                f"{', '.join(_VALUES[name])}."
            )
        async with ctx.write() as tx:
            tx.put(
                Setting(
                    account=ctx.account, region=ctx.region, name=name, value=req["SettingValue"],
                    modified_at=ctx.now, modified_by=ctx.caller.arn,
                )
            )  # fmt: skip
        return {}

    async def reset_service_setting(
        self, ctx: Context, req: w.ResetServiceSettingRequest
    ) -> w.ResetServiceSettingResult:
        """Let it be as AWS has it."""
        name = _known(req["SettingId"])
        async with ctx.write() as tx:
            setting = await tx.get(Setting, ctx.account, ctx.region, name)
            if setting is not None:
                tx.delete(setting)
        return {"ServiceSetting": cast("w.ServiceSetting", _told(ctx, name, None))}


async def setting_of(reader: Reader, account: str, region: str, name: str) -> str:
    """What a setting is."""
    found = await reader.get(Setting, account, region, name)
    return _VALUES[name][0] if found is None else found.value


def setting_name(given: str) -> str:
    """A setting's name by its name or its ARN."""
    return f"/{given.partition(':servicesetting/')[2]}" if given.startswith("arn:") else given


def _known(given: str) -> str:
    name = setting_name(given)
    if name in _VALUES:
        return name
    if name.startswith(_ELSEWHERE):
        raise NotImplementedByDoppio(f"ssm: the setting {name} exists in AWS and not here")
    raise ServiceSettingNotFound(
        f"Setting {name} is not found. Please enter a valid SettingId and try again."
    )


def _told(ctx: Context, name: str, setting: Setting | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "SettingId": name,
        "SettingValue": _VALUES[name][0],
        "ARN": f"arn:{ctx.partition}:ssm:{ctx.region}:{ctx.account}:servicesetting{name}",
        "Status": "Default",
    }
    if setting is not None:
        told["SettingValue"] = setting.value
        told["LastModifiedDate"] = setting.modified_at
        told["LastModifiedUser"] = setting.modified_by
        told["Status"] = "Customized"
    return told
