"""The function that the stories of Object Lambda run: what it does, its payload says."""

from __future__ import annotations

CODE = """
import io, json, urllib.error, urllib.request
import boto3
from botocore.exceptions import ClientError

s3 = boto3.client("s3")

def handler(event, context):
    return globals()[event["configuration"]["payload"]](event)

def context_of(event):
    return next(event[key] for key in event if key.endswith("Context"))

def fetched(event):
    context = context_of(event)
    signed = context["inputS3Url"].partition("X-Amz-SignedHeaders=")[2].partition("&")[0]
    sent = {key.lower(): value for key, value in event["userRequest"]["headers"].items()}
    headers = {key: sent[key] for key in signed.split("%3B") if key != "host"}
    request = urllib.request.Request(context["inputS3Url"], headers=headers)
    with urllib.request.urlopen(request) as answer:
        return answer.read()

def answer(event, **more):
    context = context_of(event)
    s3.write_get_object_response(
        RequestRoute=context["outputRoute"], RequestToken=context["outputToken"], **more
    )

def shout(event):
    answer(event, Body=fetched(event).upper(), ContentType="text/shout", ETag='"loud"',
           Metadata={"by": "roaster"}, CacheControl="no-store")

def tell(event):
    if "getObjectContext" not in event:
        return {"statusCode": 418}
    answer(event, Body=json.dumps(event).encode())

def refuse(event):
    answer(event, StatusCode=404, ErrorCode="NoBeans", ErrorMessage="No beans today")

def unmodified(event):
    answer(event, StatusCode=304)

def cut(event):
    answer(event, Body=fetched(event)[:2], StatusCode=206, ContentRange="bytes 0-1/5")

def silent(event):
    return None

def crash(event):
    raise ValueError("burnt")

def failing(event):
    try:
        return answer(event, Body=fetched(event))
    except urllib.error.HTTPError as error:
        answer(event, StatusCode=error.code, ErrorCode="AccessDenied", ErrorMessage=error.reason)

def large(event):
    answer(event, Body=io.BytesIO(b"bean" * 5_000_000))

def spoilt(event):
    wrong = "AAAAAA=="
    try:
        answer(event, Body=b"beans", ChecksumCRC32=wrong)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "BadDigest", error

def spoilt_stream(event):
    try:
        answer(event, Body=io.BytesIO(b"bean" * 500_000), ChecksumCRC32="AAAAAA==")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "BadDigest", error

def twice(event):
    answer(event, Body=b"once")
    return codes(event, {"Body": b"again"})

def wrong(event):
    seen = codes(
        event,
        {"Body": b"", "StatusCode": 418},
        {"StatusCode": 200, "ErrorCode": "NoBeans"},
        {"StatusCode": 404, "ErrorCode": "no beans"},
        {"RequestToken": "none"},
    )
    answer(event, Body=json.dumps(seen).encode())

def codes(event, *answers):
    seen = []
    for given in answers:
        try:
            answer(event, **given) if "RequestToken" not in given else s3.write_get_object_response(
                RequestRoute="io-cell001", **given)
        except ClientError as error:
            seen.append([error.response["Error"]["Code"], error.response["Error"]["Message"]])
    s3.put_object(Bucket="seen", Key=event["xAmzRequestId"], Body=json.dumps(seen).encode())
    return seen

def head(event):
    asked = urllib.request.Request(context_of(event)["inputS3Url"], method="HEAD")
    with urllib.request.urlopen(asked) as answered:
        headers = dict(answered.headers.items())
    headers["x-amz-meta-by"] = "roaster"
    return {"statusCode": 200, "headers": headers}

def missing(event):
    return {"statusCode": 404, "errorCode": "NoBeans", "errorMessage": "No beans today"}

def listing(event):
    return {"statusCode": 200, "listResultXml": fetched(event).decode().replace("menu/", "card/")}

def listing_json(event):
    one = {"key": "card/tea", "lastModified": "2030-01-01T00:00:00.000Z", "eTag": "x", "size": 7,
           "storageClass": "STANDARD", "owner": {"id": "me"}}
    return {"statusCode": 200, "listBucketResult": {
        "name": "shop", "isTruncated": True, "maxKeys": 1, "keyCount": 1, "contents": [one],
        "commonPrefixes": [{"prefix": "a/"}], "nextContinuationToken": "on"}}

def nonsense(event):
    return {"statusCode": 200, "headers": {"Content-Length": "many"}, "listResultXml": "<beans"}
"""
