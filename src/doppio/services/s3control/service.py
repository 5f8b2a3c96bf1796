"""S3 Control's table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.s3control import lens_exports, multi_region_work, running
from doppio.services.s3control.access_points import AccessPoints
from doppio.services.s3control.account_blocks import AccountBlocks
from doppio.services.s3control.jobs import Jobs
from doppio.services.s3control.lambda_points import LambdaPoints
from doppio.services.s3control.lens import StorageLens
from doppio.services.s3control.lens_groups import StorageLensGroups
from doppio.services.s3control.multi_region import MultiRegionAccessPoints
from doppio.services.s3control.permissions import needs
from doppio.services.s3control.tagging import Tagging

SERVICE = Service(
    "s3control",
    groups=[
        AccessPoints(),
        AccountBlocks(),
        Jobs(),
        LambdaPoints(),
        MultiRegionAccessPoints(),
        StorageLens(),
        StorageLensGroups(),
        Tagging(),
    ],
    needs=needs,
    jobs={**running.jobs(), **lens_exports.jobs(), **multi_region_work.jobs()},
)
