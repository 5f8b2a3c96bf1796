"""Object Lambda access points as requests find them: what stands before an access point.

An action with a transformation is answered by its function, and asks for one permission: that of the
Object Lambda access point. Whoever the function fetches the object for is judged when it does. All
other actions go on to the supporting access point and its bucket, which must grant them, too.
Sources: "Configuring IAM policies for Object Lambda Access Points", "How to use Object Lambda Access
Points".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from doppio.kernel.context import Context
from doppio.kernel.forward import called_via
from doppio.kernel.identity import Caller
from doppio.kernel.service import Need
from doppio.services.s3.lambda_points import LAMBDA_ALIASES, LAMBDA_END, LambdaPoint

SERVICE = "s3-object-lambda"
OPERATIONS = frozenset(
    {
        "AbortMultipartUpload", "CompleteMultipartUpload", "CreateMultipartUpload", "DeleteObject",
        "DeleteObjectTagging", "GetObject", "GetObjectAcl", "GetObjectLegalHold",
        "GetObjectRetention", "GetObjectTagging", "HeadObject", "ListMultipartUploads",
        "ListObjectVersions", "ListObjects", "ListObjectsV2", "ListParts", "PutObject",
        "PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging",
        "RestoreObject", "UploadPart",
    }
)  # fmt: skip
_ARN = re.compile(r"arn:[^:/]+:s3-object-lambda:([^:/]+):(\d{12}):accesspoint[:/]([^:/]+)")
_VERSION = "s3:versionid"


class Front(NamedTuple):
    """An Object Lambda access point before the access point of a call.

    `caller` is who calls, as he came; `function` and `payload` are of the transformation that
    answers, empty where none does.
    """

    point: LambdaPoint
    caller: Caller
    function: str = ""
    payload: str | None = None

    def need(self, need: Need, direct: Mapping[str, Any]) -> Need:
        """The same permission, asked for of the Object Lambda access point."""
        context = dict(direct)
        if _VERSION in need.context:
            context["s3-object-lambda:versionid"] = need.context[_VERSION]
        action = f"{SERVICE}:{need.action.partition(':')[2]}"
        return Need(action, self.point.arn, context)

    def behind(self, need: Need) -> Need:
        """The same permission, asked for behind it: there S3 Object Lambda speaks for the caller."""
        return need._replace(context={**need.context, **called_via(self.caller, SERVICE)})


def is_front(name: str) -> bool:
    """Whether what stands in the place of a bucket is an Object Lambda access point."""
    return name.endswith(LAMBDA_END) or (name.startswith("arn:") and f":{SERVICE}:" in name)


def arn_of(partition: str, region: str, account: str, name: str) -> str:
    """Its ARN, with a colon: a slash would end the bucket in a path."""
    return f"arn:{partition}:{SERVICE}:{region}:{account}:accesspoint:{name}"


async def front_named(ctx: Context, name: str) -> LambdaPoint | None:
    """The Object Lambda access point with an ARN or alias; None where there is none."""
    reader = ctx.read()
    if not name.startswith("arn:"):
        found = await reader.find(LAMBDA_ALIASES, (name,), limit=1)
        return found[0] if found else None
    parts = _ARN.fullmatch(name)
    return None if parts is None else await reader.get(LambdaPoint, parts[2], parts[1], parts[3])


def before(ctx: Context, point: LambdaPoint) -> Front:
    """What stands before the access point in this call."""
    for transformation in point.configuration["TransformationConfigurations"]:
        if ctx.operation in transformation["Actions"]:
            given = transformation["ContentTransformation"]["AwsLambda"]
            return Front(point, ctx.caller, given["FunctionArn"], given.get("FunctionPayload"))
    return Front(point, ctx.caller)
