"""Mobile push: platform applications, their endpoints, and what was pushed to them.

No phone hears of it: deliveries are recorded, as the app would have got them, and follow the rules
of enabled and disabled endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import first
from doppio.services.sns import limits
from doppio.services.sns.app_events import (
    CREATED,
    DELETED,
    FAILED,
    NAMES,
    UPDATED,
    checked_topic,
    say,
)
from doppio.services.sns.errors import (
    EndpointDisabled,
    InvalidParameter,
    NotFound,
    PlatformApplicationDisabled,
)
from doppio.services.sns.lookup import page
from doppio.services.sns.notification import text_for
from doppio.services.sns.records import Application, Endpoint, Message, Push
from doppio.services.sns.statuses import (
    KINDS,
    checked_feedback,
    dwell,
    logs_with,
    may_pass,
    report,
)
from doppio.wire.errors import AwsError

if TYPE_CHECKING:
    from doppio._stubs import sns as w

PLATFORMS = frozenset(
    {"ADM", "APNS", "APNS_SANDBOX", "APNS_VOIP", "APNS_VOIP_SANDBOX", "MACOS", "MACOS_SANDBOX",
     "BAIDU", "GCM", "MPNS", "WNS"}
)  # fmt: skip
_NAME_CHARS_MAX = 256
_PUSHES_KEPT = 100
_SECRETS = frozenset({"PlatformCredential", "PlatformPrincipal"})


class Applications:
    """The operations on platform applications and endpoints."""

    async def create_platform_application(
        self, ctx: Context, req: w.CreatePlatformApplicationInput
    ) -> w.CreatePlatformApplicationResponse:
        """Name an app of a platform; again is no error."""
        name, platform = req["Name"], req["Platform"]
        if platform not in PLATFORMS:
            raise InvalidParameter(f"Platform Reason: {platform} is not supported")
        allowed = name.replace("-", "").replace("_", "").replace(".", "")
        if not 1 <= len(name) <= _NAME_CHARS_MAX or not (allowed.isalnum() and allowed.isascii()):
            raise InvalidParameter(
                "Name Reason: must be 1 to 256 letters, numbers, underscores, hyphens, and periods"
            )
        if not req["Attributes"].get("PlatformCredential"):
            raise InvalidParameter("Attributes Reason: Platform credentials are missing")
        await _check_attributes(ctx, req["Attributes"])
        async with ctx.write() as tx:
            found = Application(
                account=ctx.account,
                region=ctx.region,
                platform=platform,
                name=name,
                partition=ctx.partition,
                attributes={"Enabled": "true", **req["Attributes"]},
            )
            tx.put(found)
        return {"PlatformApplicationArn": found.arn}

    async def get_platform_application_attributes(
        self, ctx: Context, req: w.GetPlatformApplicationAttributesInput
    ) -> w.GetPlatformApplicationAttributesResponse:
        """What an app is set to, without its secrets."""
        found = await _application(ctx.read(), req["PlatformApplicationArn"])
        return {"Attributes": _shown(found)}

    async def set_platform_application_attributes(
        self, ctx: Context, req: w.SetPlatformApplicationAttributesInput
    ) -> None:
        """Set attributes of an app."""
        await _check_attributes(ctx, req["Attributes"])
        async with ctx.write() as tx:
            found = await _application(tx, req["PlatformApplicationArn"])
            tx.put(replace(found, attributes={**found.attributes, **req["Attributes"]}))

    async def delete_platform_application(
        self, ctx: Context, req: w.DeletePlatformApplicationInput
    ) -> None:
        """Forget an app and its endpoints; none is no error."""
        arn = req["PlatformApplicationArn"]
        async with ctx.write() as tx:
            try:
                tx.delete(await _application(tx, arn))
            except NotFound:
                return
            while found := await tx.list(Endpoint, (arn,), limit=limits.LISTED_MAX):
                for one in found:
                    tx.delete(one)

    async def list_platform_applications(
        self, ctx: Context, req: w.ListPlatformApplicationsInput
    ) -> w.ListPlatformApplicationsResponse:
        """The account's apps in the Region, by pages of 100."""
        scope = f"applications/{ctx.account}/{ctx.region}"
        shown, token = await page(ctx.read(), Application, (ctx.account, ctx.region), req, scope)
        result: w.ListPlatformApplicationsResponse = {
            "PlatformApplications": [
                {"PlatformApplicationArn": one.arn, "Attributes": _shown(one)} for one in shown
            ]
        }
        if token is not None:
            result["NextToken"] = token
        return result

    async def create_platform_endpoint(
        self, ctx: Context, req: w.CreatePlatformEndpointInput
    ) -> w.CreateEndpointResponse:
        """Register a phone's app by its token; the same token with the same data is no error."""
        arn, token = req["PlatformApplicationArn"], req["Token"]
        attributes = {"Enabled": "true", **(req.get("Attributes") or {}), "Token": token}
        if "CustomUserData" in req:
            attributes["CustomUserData"] = req["CustomUserData"]
        async with ctx.write() as tx:
            application = await _application(tx, arn)
            there = await first(
                tx, Endpoint, (arn,), fits=lambda one: one.token == token, step=limits.LISTED_MAX
            )
            if there is not None:
                return _same_endpoint(there, attributes)
            made = Endpoint(application=arn, id=ctx.new_id(), token=token, attributes=attributes)
            tx.put(made)
            say(tx, application, CREATED, made.arn)
        return {"EndpointArn": made.arn}

    async def get_endpoint_attributes(
        self, ctx: Context, req: w.GetEndpointAttributesInput
    ) -> w.GetEndpointAttributesResponse:
        """What an endpoint is set to."""
        found = await _endpoint(ctx.read(), req["EndpointArn"])
        return {"Attributes": dict(found.attributes)}

    async def set_endpoint_attributes(
        self, ctx: Context, req: w.SetEndpointAttributesInput
    ) -> None:
        """Set attributes of an endpoint: enable it again, or give it a new token."""
        async with ctx.write() as tx:
            found = await _endpoint(tx, req["EndpointArn"])
            attributes = {**found.attributes, **req["Attributes"]}
            tx.put(replace(found, attributes=attributes, token=attributes["Token"]))
            say(tx, await _application(tx, found.application), UPDATED, found.arn)

    async def delete_endpoint(self, ctx: Context, req: w.DeleteEndpointInput) -> None:
        """Forget an endpoint; none is no error."""
        async with ctx.write() as tx:
            try:
                found = await _endpoint(tx, req["EndpointArn"])
            except NotFound:
                return
            tx.delete(found)
            say(tx, await _application(tx, found.application), DELETED, found.arn)

    async def list_endpoints_by_platform_application(
        self, ctx: Context, req: w.ListEndpointsByPlatformApplicationInput
    ) -> w.ListEndpointsByPlatformApplicationResponse:
        """An app's endpoints, by pages of 100."""
        arn = req["PlatformApplicationArn"]
        reader = ctx.read()
        await _application(reader, arn)
        shown, token = await page(reader, Endpoint, (arn,), req, arn)
        result: w.ListEndpointsByPlatformApplicationResponse = {
            "Endpoints": [
                {"EndpointArn": one.arn, "Attributes": dict(one.attributes)} for one in shown
            ]
        }
        if token is not None:
            result["NextToken"] = token
        return result


async def checked_endpoint(reader: Reader, arn: str) -> Endpoint:
    """An endpoint that may be pushed to. Raises what Publish says where it may not."""
    endpoint = await _endpoint(reader, arn, "TargetArn")
    application = await _application(reader, endpoint.application)
    if application.attributes.get("Enabled", "true").lower() != "true":
        raise PlatformApplicationDisabled
    if endpoint.attributes.get("Enabled", "true").lower() != "true":
        raise EndpointDisabled
    return endpoint


async def token_of(reader: Reader, arn: str) -> str:
    """The token of an endpoint's phone, empty where the endpoint is gone."""
    try:
        return (await _endpoint(reader, arn)).token
    except NotFound:
        return ""


async def push(ctx: Context, arn: str, message: Message) -> AwsError | None:
    """Record what an app would have got; why it may get nothing, if so."""
    try:
        endpoint = await checked_endpoint(ctx.read(), arn)
    except (EndpointDisabled, PlatformApplicationDisabled) as error:
        await _log_failure(ctx, arn, message, error)
        return error
    except (NotFound, InvalidParameter) as error:
        return error
    platform = endpoint.application.split("/")[1]

    async def keep(tx: Tx) -> None:
        old = await tx.list(Push, (arn,), limit=_PUSHES_KEPT)
        if len(old) == _PUSHES_KEPT:
            tx.delete(old[0])
        tx.put(
            Push(
                endpoint=arn,
                at=ctx.clock.now(),
                id=message.id,
                payload=_payload(platform, message),
            )
        )
        tx.meter("DeliveryAttempts-PUSH")
        await _log_status(tx, endpoint, message, None)

    await ctx.transact(keep)
    return None


async def _log_failure(ctx: Context, arn: str, message: Message, error: AwsError) -> None:
    async def tell(tx: Tx) -> None:
        await _log_status(tx, await _endpoint(tx, arn), message, error)

    await ctx.transact(tell)


async def _log_status(tx: Tx, endpoint: Endpoint, message: Message, error: AwsError | None) -> None:
    """Log what became of a push, and tell that it failed, where its app wants it."""
    application = await _application(tx, endpoint.application)
    if error is not None:
        say(
            tx, application, FAILED, endpoint.arn, DeliveryAttempts=1,
            FailureMessage=error.message, FailureType=error.code, MessageId=message.id,
        )  # fmt: skip
    role = logs_with(tx.context, application.attributes, "", good=error is None)
    if not role:
        return
    delivery = {
        "deliveryId": tx.context.new_id(),
        "destination": endpoint.arn,
        "providerResponse": "" if error is None else error.message,
        "dwellTimeMs": dwell(tx.context, message),
        "attempts": 1,
        "statusCode": 200 if error is None else error.status,
        "token": endpoint.token,
    }
    report(tx, application.arn, role, message, delivery, good=error is None)


def _payload(platform: str, message: Message) -> str:
    if message.structure is not None and platform in message.structure:
        return message.structure[platform]
    text = text_for(message, platform)
    if platform.startswith(("APNS", "MACOS")):
        return json.dumps({"aps": {"alert": text}})
    if platform == "GCM":
        return json.dumps({"data": {"default": text}})
    return text


async def _check_attributes(ctx: Context, given: Mapping[str, str]) -> None:
    for name, value in given.items():
        if name in KINDS:
            checked_feedback(name, value)
        elif name in NAMES:
            checked_topic(name, value)
    await may_pass(ctx, given)


def _shown(application: Application) -> dict[str, str]:
    return {name: value for name, value in application.attributes.items() if name not in _SECRETS}


def _same_endpoint(old: Endpoint, attributes: Mapping[str, Any]) -> w.CreateEndpointResponse:
    for name in ("CustomUserData", "Enabled"):
        if old.attributes.get(name) != attributes.get(name):
            raise InvalidParameter(
                f"Token Reason: Endpoint {old.arn} already exists with the same Token, but "
                "different attributes."
            )
    return {"EndpointArn": old.arn}


async def _application(reader: Reader, arn: str) -> Application:
    parts = arn.split(":", 5)
    names = parts[5].split("/") if len(parts) == 6 else []
    if len(names) != 3 or names[0] != "app":
        raise InvalidParameter(f"PlatformApplicationArn Reason: {arn} is not an application")
    found = await reader.get(Application, parts[4], parts[3], names[1], names[2])
    if found is None:
        raise NotFound("PlatformApplication does not exist")
    return found


async def _endpoint(reader: Reader, arn: str, member: str = "EndpointArn") -> Endpoint:
    application, _, identity = arn.replace(":endpoint/", ":app/").rpartition("/")
    if ":endpoint/" not in arn or arn.count("/") != 3:
        raise InvalidParameter(f"{member} Reason: No endpoint found for the target arn specified")
    found = await reader.get(Endpoint, application, identity)
    if found is None:
        if member == "TargetArn":
            raise InvalidParameter(
                "TargetArn Reason: No endpoint found for the target arn specified"
            )
        raise NotFound("Endpoint does not exist")
    return found
