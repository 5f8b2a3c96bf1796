"""What makes a bucket a website. How visitors are answered is in `pages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from doppio.kernel.context import Context
from doppio.services.s3.errors import NoSuchWebsiteConfiguration
from doppio.services.s3.lookup import existing_bucket
from doppio.services.s3.settings import drop_setting, put_setting, setting
from doppio.services.s3.website_rules import check_website

if TYPE_CHECKING:
    from doppio._stubs import s3 as w

KIND = "website"


class Website:
    """The website configuration of a bucket."""

    async def put_bucket_website(self, ctx: Context, req: w.PutBucketWebsiteRequest) -> None:
        """Make the bucket a website; who may read it is a matter of its policy, as ever."""
        website = req["WebsiteConfiguration"]
        check_website(website)
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            put_setting(tx, bucket, KIND, dict(website))
            tx.meter("Requests-Tier1")

    async def get_bucket_website(
        self, ctx: Context, req: w.GetBucketWebsiteRequest
    ) -> w.GetBucketWebsiteOutput:
        """The configuration, as it was put."""
        reader = ctx.read()
        bucket = await existing_bucket(reader, req)
        reader.meter("Requests-Tier2")
        website = await setting(reader, bucket, KIND)
        if website is None:
            raise NoSuchWebsiteConfiguration(BucketName=bucket.name)
        return cast("w.GetBucketWebsiteOutput", website)

    async def delete_bucket_website(self, ctx: Context, req: w.DeleteBucketWebsiteRequest) -> None:
        """Make the bucket no website any more; none is no error."""
        async with ctx.write() as tx:
            bucket = await existing_bucket(tx, req)
            await drop_setting(tx, bucket, KIND)
