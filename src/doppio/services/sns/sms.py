"""Text messages: they go to a local inbox, within the account's spend limit and its sandbox.

Source: "Mobile text messaging with Amazon SNS": a new account is in the sandbox, where only numbers
that were verified get messages; whoever has opted out gets none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from doppio.kernel.context import Context, Reader, Tx
from doppio.kernel.paging import page_of
from doppio.services.sns import limits
from doppio.services.sns.errors import (
    InvalidParameter,
    OptedOut,
    ResourceNotFound,
    UserError,
    Verification,
)
from doppio.services.sns.lookup import position
from doppio.services.sns.measures import SPENT
from doppio.services.sns.records import Message, Phone, PhoneMessage, SmsSettings, Texted
from doppio.services.sns.sms_reports import keep
from doppio.services.sns.statuses import checked_role, dwell, may_pass, report_text

if TYPE_CHECKING:
    from doppio._stubs import sns as w

_NUMBER = re.compile(r"\+[1-9]\d{4,14}")
_SETTINGS = frozenset(
    {
        "MonthlySpendLimit", "DeliveryStatusIAMRole", "DeliveryStatusSuccessSamplingRate",
        "DefaultSenderID", "DefaultSMSType", "UsageReportS3Bucket",
    }
)  # fmt: skip
_DEFAULTS = {"MonthlySpendLimit": "1"}
# What one part of a message costs here; AWS's prices differ by country and carrier.
PART_USD = 0.00645
PART_CHARS = 140
_ACCEPTED = "Message has been accepted by phone carrier"
OPT_IN_AGAIN = timedelta(days=30)
PASSWORD_LIFE = timedelta(minutes=15)


class Sms:
    """The account's settings of text messages, opt-outs and the sandbox."""

    async def set_sms_attributes(self, ctx: Context, req: w.SetSMSAttributesInput) -> None:
        """Set the account's defaults."""
        given = req["attributes"]
        for name, value in given.items():
            if name not in _SETTINGS:
                raise InvalidParameter(f"{name} is not a valid attribute")
            if name == "DefaultSMSType" and value not in {"Promotional", "Transactional"}:
                raise InvalidParameter("DefaultSMSType is invalid")
            if name == "MonthlySpendLimit" and not value.isdigit():
                raise InvalidParameter("MonthlySpendLimit is invalid")
            if name == "DeliveryStatusIAMRole" and value:
                checked_role(value)
            if name == "DeliveryStatusSuccessSamplingRate" and not (
                value.isdigit() and int(value) <= 100
            ):
                raise InvalidParameter("DeliveryStatusSuccessSamplingRate is invalid")
        await may_pass(ctx, given)
        async with ctx.write() as tx:
            old = await _settings(tx, ctx.account, ctx.region)
            tx.put(replace(old, attributes={**old.attributes, **given}))

    async def get_sms_attributes(
        self, ctx: Context, req: w.GetSMSAttributesInput
    ) -> w.GetSMSAttributesResponse:
        """The account's defaults, those that are asked for."""
        found = await _settings(ctx.read(), ctx.account, ctx.region)
        shown = {**_DEFAULTS, **found.attributes}
        wanted = req.get("attributes")
        return {
            "attributes": {
                name: value for name, value in shown.items() if not wanted or name in wanted
            }
        }

    async def check_if_phone_number_is_opted_out(
        self, ctx: Context, req: w.CheckIfPhoneNumberIsOptedOutInput
    ) -> w.CheckIfPhoneNumberIsOptedOutResponse:
        """Whether a phone wants no messages."""
        number = checked_number(
            req["phoneNumber"], "PhoneNumber Reason: input incorrectly formatted"
        )
        phone = await ctx.read().get(Phone, ctx.account, ctx.region, number)
        return {"isOptedOut": phone is not None and phone.opted_out}

    async def list_phone_numbers_opted_out(
        self, ctx: Context, req: w.ListPhoneNumbersOptedOutInput
    ) -> w.ListPhoneNumbersOptedOutResponse:
        """The phones that want no messages, by pages of 100."""
        scope = f"opted-out/{ctx.account}/{ctx.region}"
        found, token = await page_of(
            ctx.read(), Phone, (ctx.account, ctx.region), most=limits.LISTED_MAX, scope=scope,
            after=position(req, scope, "nextToken"), fits=lambda one: one.opted_out,
        )  # fmt: skip
        result: w.ListPhoneNumbersOptedOutResponse = {"phoneNumbers": [one.number for one in found]}
        if token is not None:
            result["nextToken"] = token
        return result

    async def opt_in_phone_number(self, ctx: Context, req: w.OptInPhoneNumberInput) -> None:
        """A phone wants messages again: once in 30 days."""
        number = checked_number(
            req["phoneNumber"], "PhoneNumber Reason: input incorrectly formatted"
        )
        async with ctx.write() as tx:
            phone = await tx.get(Phone, ctx.account, ctx.region, number)
            if phone is None or not phone.opted_out:
                return
            if phone.opted_in_at is not None and ctx.now - phone.opted_in_at < OPT_IN_AGAIN:
                raise InvalidParameter(
                    "PhoneNumber Reason: the number was opted in within the last 30 days"
                )
            tx.put(replace(phone, opted_out=False, opted_in_at=ctx.now))

    async def get_sms_sandbox_account_status(
        self, ctx: Context, req: w.GetSMSSandboxAccountStatusInput
    ) -> w.GetSMSSandboxAccountStatusResult:
        """Every account of this cloud is in the sandbox, as every new one of AWS is."""
        return {"IsInSandbox": True}

    async def create_sms_sandbox_phone_number(
        self, ctx: Context, req: w.CreateSMSSandboxPhoneNumberInput
    ) -> None:
        """Add a phone to the sandbox; it gets a one-time password, in the local inbox."""
        number = checked_number(
            req["PhoneNumber"], "PhoneNumber Reason: input incorrectly formatted"
        )
        async with ctx.write() as tx:
            old = await tx.get(Phone, ctx.account, ctx.region, number)
            if old is not None and old.sandbox == "Verified":
                return
            password = f"{int.from_bytes(ctx.kernel.ids.bytes(4), 'big') % 1_000_000:06d}"
            blank = old or Phone(account=ctx.account, region=ctx.region, number=number)
            tx.put(replace(blank, sandbox="Pending", password=password, sent_at=ctx.now))
            tx.put(
                PhoneMessage(
                    account=ctx.account,
                    at=ctx.now,
                    id=ctx.new_id(),
                    region=ctx.region,
                    to=number,
                    text=f"Your verification code is {password}",
                    kind="Transactional",
                )
            )

    async def verify_sms_sandbox_phone_number(
        self, ctx: Context, req: w.VerifySMSSandboxPhoneNumberInput
    ) -> None:
        """Verify a phone with the password that it got."""
        async with ctx.write() as tx:
            phone = await tx.get(Phone, ctx.account, ctx.region, req["PhoneNumber"])
            if phone is None or not phone.sandbox:
                raise ResourceNotFound("Resource not found")
            late = phone.sent_at is None or ctx.now - phone.sent_at > PASSWORD_LIFE
            if late or phone.password != req["OneTimePassword"]:
                raise Verification
            tx.put(replace(phone, sandbox="Verified", password=""))

    async def delete_sms_sandbox_phone_number(
        self, ctx: Context, req: w.DeleteSMSSandboxPhoneNumberInput
    ) -> None:
        """Take a phone out of the sandbox."""
        async with ctx.write() as tx:
            phone = await tx.get(Phone, ctx.account, ctx.region, req["PhoneNumber"])
            if phone is None or not phone.sandbox:
                raise ResourceNotFound("Resource not found")
            tx.put(replace(phone, sandbox="", password="", sent_at=None))

    async def list_sms_sandbox_phone_numbers(
        self, ctx: Context, req: w.ListSMSSandboxPhoneNumbersInput
    ) -> w.ListSMSSandboxPhoneNumbersResult:
        """The phones of the sandbox, by pages."""
        scope = f"sandbox/{ctx.account}/{ctx.region}"
        most = req.get("MaxResults", limits.LISTED_MAX)
        found, token = await page_of(
            ctx.read(), Phone, (ctx.account, ctx.region), most=most, scope=scope,
            after=position(req, scope), fits=lambda one: bool(one.sandbox), step=limits.LISTED_MAX,
        )  # fmt: skip
        result: w.ListSMSSandboxPhoneNumbersResult = {
            "PhoneNumbers": [{"PhoneNumber": one.number, "Status": one.sandbox} for one in found]
        }
        if token is not None:
            result["NextToken"] = token
        return result

    async def list_origination_numbers(
        self, ctx: Context, req: w.ListOriginationNumbersRequest
    ) -> w.ListOriginationNumbersResult:
        """Numbers are bought elsewhere (Pinpoint), which is not here: there are none."""
        return {"PhoneNumbers": []}


def checked_number(number: str, text: str) -> str:
    """A phone number in E.164 form. Raises InvalidParameter with the text."""
    plain = re.sub(r"[\s().-]", "", number)
    if _NUMBER.fullmatch(plain) is None:
        raise InvalidParameter(text)
    return plain


async def send_text(
    ctx: Context,
    where: tuple[str, str],
    number: str,
    text: str,
    message: Message,
    *,
    sender: str = "",
    direct: bool = False,
) -> bool:
    """Put a text into the phone's inbox; whether it was. A direct publish hears why not."""
    account, region = where
    phone_number = re.sub(r"[\s().-]", "", number)

    async def send(tx: Tx) -> float | None:
        settings = await _settings(tx, account, region)
        kind = message.attributes.get("AWS.SNS.SMS.SMSType", {}).get("StringValue")
        kind = kind or settings.attributes.get("DefaultSMSType", "Promotional")
        given = message.attributes.get("AWS.SNS.SMS.SenderID", {}).get("StringValue")
        parts = -(-len(text) // PART_CHARS) or 1
        sheet: dict[str, Any] = {
            "numberOfMessageParts": parts,
            "destination": phone_number,
            "smsType": kind,
        }
        phone = await tx.get(Phone, account, region, phone_number)
        if phone is not None and phone.opted_out:
            if direct:
                raise OptedOut
            await _tell(tx, settings, message, sheet, "Phone number is opted out")
            return None
        if phone is None or phone.sandbox != "Verified":
            if direct:
                raise UserError(
                    "The phone number is not verified: this account is in the SMS sandbox"
                )
            await _tell(tx, settings, message, sheet, "Phone number is not verified")
            return None
        month = ctx.now.strftime("%Y-%m")
        spent = settings.spent_usd if settings.spent_month == month else 0.0
        limit = float(settings.attributes.get("MonthlySpendLimit", "1"))
        if spent + parts * PART_USD > limit:
            await _tell(tx, settings, message, sheet, "No quota left for account")
            return None
        spent += parts * PART_USD
        tx.put(replace(settings, spent_month=month, spent_usd=spent))
        tx.put(
            PhoneMessage(
                account=account,
                at=ctx.clock.now(),
                id=message.id,
                region=region,
                to=phone_number,
                text=text,
                kind=kind,
                sender=given or sender or settings.attributes.get("DefaultSenderID", ""),
            )
        )
        tx.meter("SMS-Parts", parts)
        sheet["priceInUSD"] = round(parts * PART_USD, 5)
        await _tell(tx, settings, message, sheet, None)
        return spent

    spent = await ctx.transact(send)
    if spent is not None:
        ctx.count(SPENT, account, region, (), spent)
    return spent is not None


async def _tell(
    tx: Tx,
    settings: SmsSettings,
    message: Message,
    sheet: Mapping[str, Any],
    refusal: str | None,
) -> None:
    """Tell the log and the day's report what became of a text, where the account wants it."""
    await keep(
        tx,
        settings,
        Texted(
            account=settings.account, region=settings.region, at=tx.context.clock.now(),
            id=message.id, to=sheet["destination"], kind=sheet["smsType"],
            status=refusal or _ACCEPTED, usd=sheet.get("priceInUSD", 0.0),
            parts=sheet["numberOfMessageParts"],
        ),
    )  # fmt: skip
    ctx, role = tx.context, settings.attributes.get("DeliveryStatusIAMRole")
    rate = int(settings.attributes.get("DeliveryStatusSuccessSamplingRate", "100"))
    if not role or (refusal is None and ctx.random() * 100 >= rate):
        return
    delivery = {"priceInUSD": 0.0, **sheet, "dwellTimeMs": dwell(ctx, message)}
    delivery["providerResponse"] = refusal or _ACCEPTED
    where = (settings.account, settings.region)
    report_text(tx, where, role, message, delivery, good=refusal is None)


async def _settings(reader: Reader, account: str, region: str) -> SmsSettings:
    found = await reader.get(SmsSettings, account, region)
    return found or SmsSettings(account=account, region=region)
