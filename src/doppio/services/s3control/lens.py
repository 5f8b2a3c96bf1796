"""Storage Lens: which of an account's buckets are counted every day, and who is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from doppio.kernel import tags
from doppio.kernel.context import Context, Reader
from doppio.services.s3control.errors import (
    InvalidRequest,
    NoSuchConfiguration,
    TooManyConfigurations,
)
from doppio.services.s3control.lens_exports import RUN, keep, key_of
from doppio.services.s3control.lens_files import check_format
from doppio.services.s3control.lens_rules import check
from doppio.services.s3control.limits import LENS_LISTED_MAX, LENS_MAX, LENS_TAGS_MAX
from doppio.services.s3control.pages import page
from doppio.services.s3control.records import Lens

if TYPE_CHECKING:
    from doppio._stubs import s3control as w


class StorageLens:
    """The operations on configurations; each belongs to the Region in which it was put."""

    async def put_storage_lens_configuration(
        self, ctx: Context, req: w.PutStorageLensConfigurationRequest
    ) -> None:
        """Set a configuration; it is carried out from the next midnight on."""
        document = cast("dict[str, Any]", req["StorageLensConfiguration"])
        check(req["ConfigId"], document)
        export = (document.get("DataExport") or {}).get("S3BucketDestination")
        if export is not None:
            check_format(export["Format"])
        wanted = _tags(req.get("Tags") or [])
        async with ctx.write() as tx:
            old = await tx.get(Lens, ctx.account, ctx.region, req["ConfigId"])
            if old is None:
                there = await tx.list(Lens, (ctx.account, ctx.region), limit=LENS_MAX)
                if len(there) >= LENS_MAX:
                    raise TooManyConfigurations
            lens = Lens(
                account=ctx.account,
                region=ctx.region,
                id=req["ConfigId"],
                partition=ctx.partition,
                document=document,
                tags=wanted if old is None or wanted else old.tags,
            )
            await keep(tx, tx.put(lens))

    async def get_storage_lens_configuration(
        self, ctx: Context, req: w.GetStorageLensConfigurationRequest
    ) -> w.GetStorageLensConfigurationResult:
        """A configuration, as it was put, with its ARN."""
        lens = await _existing(ctx.read(), req["ConfigId"])
        told = {**lens.document, "StorageLensArn": lens.arn}
        return {"StorageLensConfiguration": cast("w.StorageLensConfiguration", told)}

    async def list_storage_lens_configurations(
        self, ctx: Context, req: w.ListStorageLensConfigurationsRequest
    ) -> w.ListStorageLensConfigurationsResult:
        """The configurations of the Region, by their ids."""
        scope = f"{ctx.account}/{ctx.region}/lens"
        shown, token = await page(
            ctx.read(), Lens, (ctx.account, ctx.region), req, most=LENS_LISTED_MAX, scope=scope
        )
        answer: w.ListStorageLensConfigurationsResult = {
            "StorageLensConfigurationList": [
                {
                    "Id": one.id,
                    "StorageLensArn": one.arn,
                    "HomeRegion": one.region,
                    "IsEnabled": one.document["IsEnabled"],
                }
                for one in shown
            ]
        }
        if token is not None:
            answer["NextToken"] = token
        return answer

    async def delete_storage_lens_configuration(
        self, ctx: Context, req: w.DeleteStorageLensConfigurationRequest
    ) -> None:
        """Forget a configuration; exports stay."""
        async with ctx.write() as tx:
            lens = await _existing(tx, req["ConfigId"])
            tx.delete(lens)
            await tx.unschedule(RUN, key_of(lens))

    async def put_storage_lens_configuration_tagging(
        self, ctx: Context, req: w.PutStorageLensConfigurationTaggingRequest
    ) -> w.PutStorageLensConfigurationTaggingResult:
        """Set a configuration's tags, in place of those that it had."""
        wanted = _tags(req["Tags"])
        async with ctx.write() as tx:
            tx.put(replace(await _existing(tx, req["ConfigId"]), tags=wanted))
        return {}

    async def get_storage_lens_configuration_tagging(
        self, ctx: Context, req: w.GetStorageLensConfigurationTaggingRequest
    ) -> w.GetStorageLensConfigurationTaggingResult:
        """A configuration's tags."""
        lens = await _existing(ctx.read(), req["ConfigId"])
        return {"Tags": cast("list[w.StorageLensTag]", tags.to_list(lens.tags))}

    async def delete_storage_lens_configuration_tagging(
        self, ctx: Context, req: w.DeleteStorageLensConfigurationTaggingRequest
    ) -> w.DeleteStorageLensConfigurationTaggingResult:
        """Forget a configuration's tags."""
        async with ctx.write() as tx:
            tx.put(replace(await _existing(tx, req["ConfigId"]), tags={}))
        return {}


async def _existing(reader: Reader, name: str) -> Lens:
    ctx = reader.context
    lens = await reader.get(Lens, ctx.account, ctx.region, name)
    if lens is None:
        raise NoSuchConfiguration
    return lens


def _tags(given: list[Any]) -> dict[str, str]:
    try:
        found = tags.checked(tags.from_list(given))
    except tags.BadTags as error:
        raise InvalidRequest(str(error)) from error
    if len(found) > LENS_TAGS_MAX:
        raise InvalidRequest(f"A configuration can have at most {LENS_TAGS_MAX} tags.")
    return found
