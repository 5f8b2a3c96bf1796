"""S3 Control's table of contents."""

from __future__ import annotations

from doppio.kernel.service import Service
from doppio.services.s3control import running
from doppio.services.s3control.account_blocks import AccountBlocks
from doppio.services.s3control.jobs import Jobs
from doppio.services.s3control.permissions import needs

SERVICE = Service(
    "s3control",
    groups=[
        AccountBlocks(),
        Jobs(),
    ],
    needs=needs,
    jobs=running.jobs(),
)
