"""From what happened to who is told: S3's event messages, and their delivery.

A durable subscription follows the facts; each destination is told through the door, as S3 and on
behalf of the bucket, so that the destination's policy decides. Where a destination fails for a
while, a `Notice` with a timer waits for it, and nobody else does. One that is gone, or that S3 may
not write to any more, hears nothing: as in S3, that is nobody's error.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import msgspec
from msgspec.structs import replace

from doppio.kernel.context import Context
from doppio.kernel.events import Event, Subscription
from doppio.kernel.identity import canonical_user, service_caller
from doppio.kernel.jobs import Job
from doppio.kernel.records import record
from doppio.services.s3.happenings import Happening
from doppio.services.s3.notification_rules import KIND, rules_of, wants
from doppio.services.s3.records import Bucket
from doppio.services.s3.settings import setting
from doppio.services.sqs.ports import url_of
from doppio.wire.errors import AwsError
from doppio.wire.faults import host_id
from doppio.wire.timestamps import format_iso8601_millis

NOTIFY = "s3.notify"
TRIES_MAX = 60
WAIT_MAX = timedelta(minutes=10)
# Which version of the message tells of which events. Source: "Event message structure".
_VERSIONS = {
    "Replication": "2.2",
    "LifecycleExpiration": "2.3",
    "LifecycleTransition": "2.3",
    "IntelligentTiering": "2.3",
    "ObjectTagging": "2.3",
    "ObjectAcl": "2.3",
    "ObjectAnnotation": "2.3",
}
# What EventBridge calls what happens, and why. Source: "EventBridge event message structure".
_DETAILS = {
    "ObjectCreated:Put": ("Object Created", "PutObject"),
    "ObjectCreated:Post": ("Object Created", "POST Object"),
    "ObjectCreated:Copy": ("Object Created", "CopyObject"),
    "ObjectCreated:CompleteMultipartUpload": ("Object Created", "CompleteMultipartUpload"),
    "ObjectRemoved:Delete": ("Object Deleted", "DeleteObject"),
    "ObjectRemoved:DeleteMarkerCreated": ("Object Deleted", "DeleteObject"),
    "LifecycleExpiration:Delete": ("Object Deleted", "Lifecycle Expiration"),
    "LifecycleExpiration:DeleteMarkerCreated": ("Object Deleted", "Lifecycle Expiration"),
    "LifecycleTransition": ("Object Storage Class Changed", ""),
    "IntelligentTiering": ("Object Access Tier Changed", ""),
    "ObjectRestore:Post": ("Object Restore Initiated", ""),
    "ObjectRestore:Completed": ("Object Restore Completed", ""),
    "ObjectRestore:Delete": ("Object Restore Expired", ""),
    "ObjectTagging:Put": ("Object Tags Added", ""),
    "ObjectTagging:Delete": ("Object Tags Deleted", ""),
    "ObjectAcl:Put": ("Object ACL Updated", ""),
}


@record("s3.notice", key=("id",))
class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A message that its destination could not take yet."""

    id: str
    bucket: str
    arn: str
    body: dict[str, Any]
    tries: int = 0


async def tell(ctx: Context, event: Event) -> None:
    """Tell everybody who asked for this; an event may come twice."""
    assert isinstance(event, Happening)
    reader = ctx.read()
    bucket = await reader.get(Bucket, event.key[0])
    if bucket is None:
        return
    document = await setting(reader, bucket, KIND)
    if document is None:
        return
    for rule in rules_of(document):
        if wants(rule, event.name, event.key[1]):
            await _deliver(ctx, bucket, rule.arn, message(bucket, event, rule.id))
    if "EventBridgeConfiguration" in document and event.name in _DETAILS:
        await _deliver(ctx, bucket, "events", detail(bucket, event))


def message(bucket: Bucket, event: Happening, configuration: str) -> dict[str, Any]:
    """S3's message, with its one record."""
    kind = event.name.partition(":")[0]
    told: dict[str, Any] = {"key": quote_plus(event.key[1], safe="/")}
    if event.name != "ObjectRemoved:Delete":
        told["size"] = event.size
        told["eTag"] = event.etag
    if kind == "ObjectTagging":
        del told["size"]
    if event.name == "ObjectRemoved:DeleteMarkerCreated":
        del told["size"]
        told["eTag"] = "d41d8cd98f00b204e9800998ecf8427e"
    if bucket.versioning:
        told["versionId"] = event.key[2]
    told["sequencer"] = f"{event.sequence:018X}"
    record: dict[str, Any] = {
        "eventVersion": _VERSIONS.get(kind, "2.1"),
        "eventSource": "aws:s3",
        "awsRegion": bucket.region,
        "eventTime": format_iso8601_millis(event.at),
        "eventName": event.name,
        "userIdentity": {"principalId": principal(event)},
        "requestParameters": {"sourceIPAddress": event.source_ip},
        "responseElements": {
            "x-amz-request-id": event.request_id,
            "x-amz-id-2": host_id(event.request_id),
        },
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": bucket.name,
                "ownerIdentity": {"principalId": canonical_user(bucket.account)[:14].upper()},
                "arn": bucket.arn,
            },
            "object": told,
        },
    }
    record |= _data(kind, event.detail or {})
    return {"Records": [record]}


def _data(kind: str, told: dict[str, str]) -> dict[str, Any]:
    """What the message says beside the object. Source: "Event message structure"."""
    if kind == "Replication" and told:
        return {"replicationEventData": told}
    if kind == "IntelligentTiering":
        return {
            "intelligentTieringEventData": {
                "destinationAccessTier": told["destination-access-tier"]
            }
        }
    if kind == "LifecycleTransition":
        moved = {"destinationStorageClass": told["destination-storage-class"]}
        return {"lifecycleEventData": {"transitionEventData": moved}}
    if kind == "ObjectRestore" and "restore-expiry-time" in told:
        restored = {
            "lifecycleRestorationExpiryTime": told["restore-expiry-time"],
            "lifecycleRestoreStorageClass": told["source-storage-class"],
        }
        return {"glacierEventData": {"restoreEventData": restored}}
    return {}


def detail(bucket: Bucket, event: Happening) -> dict[str, Any]:
    """EventBridge's entry for what happened."""
    kind, reason = _DETAILS[event.name]
    told: dict[str, Any] = {"key": event.key[1], "etag": event.etag}
    if kind != "Object Deleted" and not event.name.startswith("ObjectTagging"):
        told["size"] = event.size
    if bucket.versioning:
        told["version-id"] = event.key[2]
    if kind in {"Object Created", "Object Deleted"}:
        told["sequencer"] = f"{event.sequence:018X}"
    by_s3 = event.principal.endswith(".amazonaws.com")
    found: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": told,
        "request-id": event.request_id,
        "requester": "s3.amazonaws.com" if by_s3 else bucket.account,
        **(event.detail or {}),
    }
    if not by_s3:
        found["source-ip-address"] = event.source_ip
    if reason:
        found["reason"] = reason
    if event.name.startswith("ObjectRemoved") or "Expiration" in event.name:
        marker = event.name.endswith("DeleteMarkerCreated")
        found["deletion-type"] = "Delete Marker Created" if marker else "Permanently Deleted"
    return {
        "Source": "aws.s3",
        "DetailType": kind,
        "Detail": json.dumps(found),
        "Resources": [bucket.arn],
        "Time": event.at,
    }


def principal(event: Happening) -> str:
    """Who did it, as S3 names them."""
    if event.principal.endswith(".amazonaws.com") or event.principal == "anonymous":
        return event.principal
    return f"AWS:{event.principal}"


async def send(ctx: Context, bucket: Bucket, arn: str, body: dict[str, Any]) -> None:
    """Tell a destination, as S3 on behalf of the bucket. Raises what it answers."""
    as_s3 = ctx.derive(service_caller("s3", bucket.account, bucket.arn), region=bucket.region)
    parts = arn.split(":")
    if arn == "events":
        await as_s3.call("events", "put_events", {"Entries": [body]})
        return
    text = json.dumps(body)
    if parts[2] == "sqs":
        req = {"QueueUrl": url_of(ctx, arn), "MessageBody": text}
        await as_s3.call("sqs", "send_message", req)
    elif parts[2] == "sns":
        subject = "Amazon S3 Notification"
        told = {"TopicArn": arn, "Message": text, "Subject": subject}
        await as_s3.call("sns", "publish", told)
    else:
        # A function is not run for the test event: S3 only asks whether it may.
        way = "DryRun" if body.get("Event") == "s3:TestEvent" else "Event"
        invoked = {"FunctionName": arn, "InvocationType": way, "Payload": text.encode()}
        await as_s3.call("lambda", "invoke", invoked)


def _may_come_later(error: AwsError) -> bool:
    """Whether a destination may take later what it refuses now: a function can have too much to do."""
    return (error.status >= 500 and error.status != 501) or error.status == 429


async def _deliver(ctx: Context, bucket: Bucket, arn: str, body: dict[str, Any]) -> None:
    try:
        await send(ctx, bucket, arn, body)
    except AwsError as error:
        if not _may_come_later(error):
            return
        notice = Notice(id=ctx.new_id(), bucket=bucket.id, arn=arn, body=body)
        async with ctx.write() as tx:
            tx.put(notice)
            await tx.schedule(ctx.clock.now() + timedelta(seconds=1), NOTIFY, notice.id)


async def tell_again(ctx: Context, job: Job) -> None:
    """Try a destination that failed again, later and later."""
    reader = ctx.read()
    notice = await reader.get(Notice, job.key)
    if notice is None:
        return
    bucket = await reader.get(Bucket, notice.bucket)
    if bucket is not None and notice.tries < TRIES_MAX:
        try:
            await send(ctx, bucket, notice.arn, notice.body)
        except AwsError as error:
            if _may_come_later(error):
                wait = min(timedelta(seconds=2**notice.tries), WAIT_MAX)
                async with ctx.write() as tx:
                    tx.put(replace(notice, tries=notice.tries + 1))
                    await tx.schedule(ctx.clock.now() + wait, NOTIFY, notice.id)
                return
    async with ctx.write() as tx:
        tx.delete(notice)


SUBSCRIPTION = Subscription("s3.notices", (Happening,), tell)
JOBS = {NOTIFY: tell_again}
