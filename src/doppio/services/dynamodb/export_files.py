"""What an export writes: its lines, and its manifests.

Source: "DynamoDB table export output format".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from doppio.services.dynamodb import ion
from doppio.services.dynamodb.item_lines import line_of
from doppio.services.dynamodb.records import Export
from doppio.services.dynamodb.values import Item

EXTENSIONS = {"DYNAMODB_JSON": "json.gz", "ION": "ion.gz"}


def full_line(kind: str, item: Item) -> bytes:
    """The line of an item in a full export."""
    return line_of({"Item": item}) if kind == "DYNAMODB_JSON" else ion.line_of("Item", item)


def changed_line(kind: str, keys: Item, old: Item | None, new: Item | None, micros: int) -> bytes:
    """The line of an item that has changed, in an incremental export."""
    images = {
        name: image
        for name, image in (("Keys", keys), ("OldImage", old), ("NewImage", new))
        if image is not None
    }
    if kind == "DYNAMODB_JSON":
        return line_of({"Metadata": {"WriteTimestampMicros": str(micros)}, **images})
    texts = {name: ion.text_of(image) for name, image in images.items()}
    return ion.struct_of({"Metadata": f"{{WriteTimestampMicros:{micros}}}", **texts})


def files_manifest(files: Sequence[Mapping[str, Any]]) -> bytes:
    """`manifest-files.json`: a line for each file."""
    return b"".join(
        orjson.dumps(
            {
                "itemCount": one["items"],
                "md5Checksum": one["md5"],
                "etag": one["etag"],
                "dataFileS3Key": one["key"],
            }
        )
        + b"\n"
        for one in files
    )


def summary_manifest(export: Export, ended: datetime, files_key: str) -> bytes:
    """`manifest-summary.json`."""
    given = export.given
    told: dict[str, Any] = {
        "version": "2020-06-30",
        "exportArn": export.arn,
        "startTime": _time(export.started_at),
        "endTime": _time(ended),
        "tableArn": export.table_arn,
        "tableId": export.table_id,
        "exportTime": _time(export.until),
        "s3Bucket": given["S3Bucket"],
        "s3Prefix": given.get("S3Prefix"),
        "s3SseAlgorithm": given.get("S3SseAlgorithm", "AES256"),
        "s3SseKmsKeyId": given.get("S3SseKmsKeyId"),
        "manifestFilesS3Key": files_key,
        "billedSizeBytes": export.size,
        "itemCount": export.items,
        "outputFormat": export.format,
        "exportType": "FULL_EXPORT",
    }
    if export.since is not None:
        del told["exportTime"]
        told |= {
            "version": "2023-08-01",
            "exportFromTime": _time(export.since),
            "exportToTime": _time(export.until),
            "outputView": export.view,
            "exportType": "INCREMENTAL_EXPORT",
        }
    return orjson.dumps(told)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1_000:03d}Z"
