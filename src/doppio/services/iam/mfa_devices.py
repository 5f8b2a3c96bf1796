"""IAM's virtual MFA devices.

A device is created with a seed that is told once; it is a user's from the moment that two codes in
a row show that the user has it. Root, who has no name, names its account. A code counts once. Codes go by host time, as authenticators do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader, Tx
from doppio.services.iam import limits, totp
from doppio.services.iam.attachments import holder
from doppio.services.iam.common import (
    acting_user,
    checked_name,
    checked_path,
    named,
    new_tags,
    page,
)
from doppio.services.iam.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidAuthenticationCode,
    LimitExceeded,
    NoSuchEntity,
)
from doppio.services.iam.qr_codes import seed_png
from doppio.services.iam.records import DEVICES_OF, AccountAlias, MfaDevice, User, tags_to_wire
from doppio.services.iam.users import to_wire as user_to_wire

if TYPE_CHECKING:
    from doppio._stubs import iam as w


class MfaDevices:
    """The MFA device operations."""

    async def create_virtual_mfa_device(
        self, ctx: Context, req: w.CreateVirtualMFADeviceRequest
    ) -> w.CreateVirtualMFADeviceResponse:
        """Make a device; its seed is shown this once."""
        name = checked_name(req["VirtualMFADeviceName"], "virtualMFADeviceName", 226)
        seed = ctx.kernel.ids.bytes(totp.SEED_BYTES)
        async with ctx.write() as tx:
            if await tx.get(MfaDevice, ctx.account, name.lower()) is not None:
                raise EntityAlreadyExists(
                    "MFADevice entity at the same path and name already exists."
                )
            device = MfaDevice(
                account=ctx.account, name=name, id=ctx.new_id(), path=checked_path(req),
                created_at=ctx.now, seed=seed, tags=new_tags(req), partition=ctx.partition,
            )  # fmt: skip
            tx.put(device)
            alias = await tx.get(AccountAlias, ctx.account)
        text = totp.seed_text(seed)
        shown: dict[str, Any] = {
            "SerialNumber": device.arn,
            "Base32StringSeed": text.encode(),
            "QRCodePNG": seed_png(name, ctx.account if alias is None else alias.alias, text),
        }
        if device.tags:
            shown["Tags"] = tags_to_wire(device.tags)
        return {"VirtualMFADevice": shown}  # type: ignore[typeddict-item]

    async def delete_virtual_mfa_device(
        self, ctx: Context, req: w.DeleteVirtualMFADeviceRequest
    ) -> None:
        """Delete a device that is nobody's."""
        async with ctx.write() as tx:
            device = await _existing(tx, ctx, req["SerialNumber"])
            if device.user is not None:
                raise DeleteConflict("MFA VirtualDevice in use. Must deactivate first.")
            tx.delete(device)

    async def list_virtual_mfa_devices(
        self, ctx: Context, req: w.ListVirtualMFADevicesRequest
    ) -> w.ListVirtualMFADevicesResponse:
        """The account's devices, without their seeds."""
        reader = ctx.read()
        wanted = req.get("AssignmentStatus", "Any")
        rows = [
            row
            for row in await reader.list(MfaDevice, (ctx.account,), limit=limits.ROWS_MAX)
            if wanted == "Any" or (row.user is not None) == (wanted == "Assigned")
        ]
        shown = page(req, rows, "VirtualMFADevices", lambda row: row, f"devices/{wanted}")
        shown["VirtualMFADevices"] = [
            await _to_wire(reader, row) for row in shown["VirtualMFADevices"]
        ]
        return shown  # type: ignore[return-value]

    async def enable_mfa_device(self, ctx: Context, req: w.EnableMFADeviceRequest) -> None:
        """Give a device to the user who shows two of its codes in a row."""
        async with ctx.write() as tx:
            user = await _named_user(tx, ctx, req["UserName"])
            device = await _existing(tx, ctx, req["SerialNumber"])
            if device.user is not None:
                raise EntityAlreadyExists("MFA device is already in use.")
            most = limits.MFA_DEVICES_A_USER_MAX
            if len(await tx.find(DEVICES_OF, (ctx.account, user), limit=most)) >= most:
                raise LimitExceeded(f"Cannot exceed quota for MFADevicesPerUser: {most}")
            device = _synchronised(
                ctx, device, req["AuthenticationCode1"], req["AuthenticationCode2"]
            )
            tx.put(replace(device, user=user, enabled_at=ctx.now))

    async def resync_mfa_device(self, ctx: Context, req: w.ResyncMFADeviceRequest) -> None:
        """Learn by two codes in a row how far a device's clock is off."""
        async with ctx.write() as tx:
            user = await _named_user(tx, ctx, req["UserName"])
            device = await _of_user(tx, ctx, req["SerialNumber"], user)
            tx.put(
                _synchronised(ctx, device, req["AuthenticationCode1"], req["AuthenticationCode2"])
            )

    async def deactivate_mfa_device(self, ctx: Context, req: w.DeactivateMFADeviceRequest) -> None:
        """Take a device from its user; sessions that it has vouched for go on."""
        async with ctx.write() as tx:
            user = await _acting_user(tx, ctx, req)
            device = await _of_user(tx, ctx, req["SerialNumber"], user)
            tx.put(replace(device, user=None, enabled_at=None))

    async def get_mfa_device(
        self, ctx: Context, req: w.GetMFADeviceRequest
    ) -> w.GetMFADeviceResponse:
        """A device that is somebody's."""
        reader = ctx.read()
        user = await _acting_user(reader, ctx, req)
        device = await _of_user(reader, ctx, req["SerialNumber"], user)
        return _enabled_to_wire(device)  # type: ignore[return-value]

    async def list_mfa_devices(
        self, ctx: Context, req: w.ListMFADevicesRequest
    ) -> w.ListMFADevicesResponse:
        """The devices of a user."""
        reader = ctx.read()
        user = await _acting_user(reader, ctx, req)
        rows = await reader.find(DEVICES_OF, (ctx.account, user), limit=limits.ROWS_MAX)
        return page(req, rows, "MFADevices", _enabled_to_wire, f"devices-of/{user}")  # type: ignore[return-value]

    async def tag_mfa_device(self, ctx: Context, req: w.TagMFADeviceRequest) -> None:
        """Put tags on a device."""
        async with ctx.write() as tx:
            device = await _existing(tx, ctx, req["SerialNumber"])
            tx.put(replace(device, tags=new_tags(req, device.tags)))

    async def untag_mfa_device(self, ctx: Context, req: w.UntagMFADeviceRequest) -> None:
        """Take tags off a device."""
        async with ctx.write() as tx:
            device = await _existing(tx, ctx, req["SerialNumber"])
            tx.put(replace(device, tags=tags.without(device.tags, req["TagKeys"])))

    async def list_mfa_device_tags(
        self, ctx: Context, req: w.ListMFADeviceTagsRequest
    ) -> w.ListMFADeviceTagsResponse:
        """The tags of a device."""
        device = await _existing(ctx.read(), ctx, req["SerialNumber"])
        return page(req, tags_to_wire(device.tags), "Tags", lambda tag: tag, device.arn)  # type: ignore[return-value]


async def code_counts(ctx: Context, user: str, serial: str, code: str) -> bool:
    """Whether a code is a user's device's, now and for the first time; it is used up by this."""

    async def use(tx: Tx) -> bool:
        device = await device_of(tx, ctx.caller.account, serial)
        if device is None or device.user != user:
            return False
        now = totp.step_of(ctx.clock.host_now().timestamp()) + device.drift_steps
        step = totp.matching_step(device.seed, code, now, after=device.used_step)
        if step is not None:
            tx.put(replace(device, used_step=step))
        return step is not None

    # The code is used up whatever becomes of the call, whose own record says what became of it.
    return await ctx.derive(ctx.caller).transact(use)


async def device_of(reader: Reader, account: str, serial: str) -> MfaDevice | None:
    """The device of a serial number."""
    device = await named(reader, MfaDevice, account, serial.rpartition("/")[2])
    return device if device is not None and device.arn == serial else None


def _synchronised(ctx: Context, device: MfaDevice, first: str, second: str) -> MfaDevice:
    now = totp.step_of(ctx.clock.host_now().timestamp())
    step = totp.consecutive_step(device.seed, first, second, now)
    if step is None:
        raise InvalidAuthenticationCode("Authentication code for device is not valid.")
    return replace(device, drift_steps=step - now, used_step=step)


async def _named_user(reader: Reader, ctx: Context, name: str) -> str:
    """The user of this name, or root (empty) where it names its account."""
    if ctx.caller.kind == "root" and name == ctx.account:
        return "" if await named(reader, User, ctx.account, name) is None else name
    user: User = await holder(reader, ctx, "User", name)
    return user.name


async def _acting_user(reader: Reader, ctx: Context, req: Mapping[str, Any]) -> str:
    """The user that is named, else the caller; root's is empty."""
    if "UserName" in req:
        return await _named_user(reader, ctx, req["UserName"])
    return await acting_user(reader, ctx, req)


async def _existing(reader: Reader, ctx: Context, serial: str) -> MfaDevice:
    device = await device_of(reader, ctx.account, serial)
    if device is None:
        raise NoSuchEntity(f"VirtualMFADevice with serial number {serial} doesn't exist.")
    return device


async def _of_user(reader: Reader, ctx: Context, serial: str, user: str) -> MfaDevice:
    device = await device_of(reader, ctx.account, serial)
    if device is None or device.user != user:
        raise NoSuchEntity(f"MFA Device invalid for user: {user}")
    return device


def _enabled_to_wire(device: MfaDevice) -> dict[str, Any]:
    return {
        "UserName": device.user or device.account,
        "SerialNumber": device.arn,
        "EnableDate": device.enabled_at,
    }


async def _to_wire(reader: Reader, device: MfaDevice) -> dict[str, Any]:
    shown: dict[str, Any] = {"SerialNumber": device.arn}
    if device.user == "":
        shown["User"] = {
            "UserId": device.account,
            "Arn": f"arn:{device.partition}:iam::{device.account}:root",
        }
        shown["EnableDate"] = device.enabled_at
    elif device.user is not None:
        user = await named(reader, User, device.account, device.user)
        assert user is not None, "a user's devices go before the user"
        shown["User"] = user_to_wire(user, whole=False)
        shown["EnableDate"] = device.enabled_at
    return shown
