"""S3 through a real client: what crosses the wire arrives, both ways."""

from __future__ import annotations

import base64
import io
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.testing import Cloud

BODY = bytes(range(256)) * 80_000  # 20 MB: three parts for boto3's transfer manager


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    from botocore.config import Config

    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    return cloud.account().client("s3", config=config)


def code(call: Any, **req: Any) -> tuple[str, int]:
    """The code and status with which a call is refused."""
    from botocore.exceptions import ClientError

    with pytest.raises(ClientError) as refused:
        call(**req)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_keys_of_all_kinds_survive_the_way_there_and_back(s3: Any) -> None:
    s3.create_bucket(Bucket="kinds")
    keys = ["a b/ü+%.txt", "//double", "./dots/../x", "trailing/", "q?x=1&y", "🍵", "a\u0001b"]
    for key in keys:
        s3.put_object(Bucket="kinds", Key=key, Body=key.encode(), Metadata={"k": "v"})
    for key in keys:
        got = s3.get_object(Bucket="kinds", Key=key)
        assert got["Body"].read() == key.encode()
        assert got["Metadata"] == {"k": "v"}
    listed = s3.list_objects_v2(Bucket="kinds")["Contents"]
    assert [entry["Key"] for entry in listed] == sorted(keys, key=str.encode)
    s3.delete_object(Bucket="kinds", Key=keys.pop())  # XML cannot hold this one
    deleted = s3.delete_objects(Bucket="kinds", Delete={"Objects": [{"Key": key} for key in keys]})
    assert {entry["Key"] for entry in deleted["Deleted"]} == set(keys)
    s3.delete_bucket(Bucket="kinds")


def test_large_files_go_up_and_down_in_parts(s3: Any) -> None:
    s3.create_bucket(Bucket="large")
    s3.upload_fileobj(io.BytesIO(BODY), "large", "key", ExtraArgs={"Metadata": {"m": "1"}})
    head = s3.head_object(Bucket="large", Key="key", ChecksumMode="ENABLED")
    assert head["ETag"].endswith('-3"')
    assert head["ChecksumType"] == "COMPOSITE"
    down = io.BytesIO()
    s3.download_fileobj("large", "key", down)
    assert down.getvalue() == BODY
    s3.copy({"Bucket": "large", "Key": "key"}, "large", "copy")
    assert s3.get_object(Bucket="large", Key="copy")["Body"].read() == BODY
    s3.put_object(Bucket="large", Key="single", Body=BODY)
    assert s3.get_object(Bucket="large", Key="single")["Body"].read() == BODY
    ranged = s3.get_object(Bucket="large", Key="key", Range="bytes=8388600-8388620")
    assert ranged["Body"].read() == BODY[8388600:8388621]


def test_errors_have_s3s_codes_and_statuses(s3: Any) -> None:
    assert code(s3.get_object, Bucket="none-such", Key="k") == ("NoSuchBucket", 404)
    s3.create_bucket(Bucket="errors")
    assert code(s3.get_object, Bucket="errors", Key="k") == ("NoSuchKey", 404)
    assert code(s3.head_object, Bucket="errors", Key="k") == ("404", 404)
    etag = s3.put_object(Bucket="errors", Key="k", Body=b"x")["ETag"]
    assert code(s3.get_object, Bucket="errors", Key="k", IfNoneMatch=etag) == ("304", 304)
    assert code(s3.get_object, Bucket="errors", Key="k", Range="bytes=9-") == ("InvalidRange", 416)
    assert code(s3.put_object, Bucket="errors", Key="k", IfNoneMatch="*") == (
        "PreconditionFailed",
        412,
    )
    assert code(s3.delete_bucket, Bucket="errors") == ("BucketNotEmpty", 409)
    assert code(s3.get_bucket_policy, Bucket="errors") == ("NoSuchBucketPolicy", 404)
    assert code(s3.get_object_torrent, Bucket="errors", Key="k") == ("MethodNotAllowed", 405)


def test_versions_and_settings_come_back_as_put(s3: Any) -> None:
    s3.create_bucket(Bucket="settings")
    s3.put_bucket_versioning(Bucket="settings", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="settings", Key="k", Body=b"1")["VersionId"]
    s3.put_object(Bucket="settings", Key="k", Body=b"2")
    marker = s3.delete_object(Bucket="settings", Key="k")
    assert marker["DeleteMarker"] is True
    assert s3.get_object(Bucket="settings", Key="k", VersionId=first)["Body"].read() == b"1"
    page = s3.list_object_versions(Bucket="settings")
    assert [entry["IsLatest"] for entry in page["Versions"]] == [False, False]
    assert page["DeleteMarkers"][0]["IsLatest"] is True
    tags = {"TagSet": [{"Key": "team", "Value": "bar + co"}]}
    s3.put_bucket_tagging(Bucket="settings", Tagging=tags)
    assert s3.get_bucket_tagging(Bucket="settings")["TagSet"] == tags["TagSet"]
    rules = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 5}]
    s3.put_bucket_cors(Bucket="settings", CORSConfiguration={"CORSRules": rules})
    assert s3.get_bucket_cors(Bucket="settings")["CORSRules"] == rules
    block = s3.get_public_access_block(Bucket="settings")["PublicAccessBlockConfiguration"]
    assert all(block.values())


def test_presigned_urls_need_no_key(s3: Any) -> None:
    s3.create_bucket(Bucket="signed")
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "signed", "Key": "k"})
    request = urllib.request.Request(put, data=b"an order", method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    get = s3.generate_presigned_url(
        "get_object", Params={"Bucket": "signed", "Key": "k", "ResponseContentType": "text/x"}
    )
    with urllib.request.urlopen(get) as answer:
        assert answer.read() == b"an order"
        assert answer.headers["content-type"] == "text/x"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_links_and_forms_are_good_after_cloud_time_has_leapt(version: str) -> None:
    from botocore.config import Config

    with Cloud() as cloud:
        account = cloud.account()
        config = Config(signature_version=version, s3={"addressing_style": "path"})
        s3 = account.client("s3", config=config)
        s3.create_bucket(Bucket="leaps")
        s3.put_object(Bucket="leaps", Key="k", Body=b"an order")
        old = s3.generate_presigned_url("get_object", Params={"Bucket": "leaps", "Key": "k"})
        with urllib.request.urlopen(old) as answer:
            assert answer.read() == b"an order"
        account.advance("30d")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(old)
        refused.value.close()
        assert refused.value.code == 403
        # Of another length, since a link of the same second and length is the same link.
        new = s3.generate_presigned_url(
            "get_object", Params={"Bucket": "leaps", "Key": "k"}, ExpiresIn=600
        )
        with urllib.request.urlopen(new) as answer:
            assert answer.read() == b"an order"
        form = s3.generate_presigned_post("leaps", "form")
        status, _, _ = posted(form["url"], form["fields"], b"text")
        assert status == 204


def test_a_public_object_is_read_without_a_signature(s3: Any, cloud: Cloud) -> None:
    s3.create_bucket(Bucket="lists", ObjectOwnership="BucketOwnerPreferred")
    s3.delete_public_access_block(Bucket="lists")
    s3.put_object(Bucket="lists", Key="open", Body=b"text", ACL="public-read")
    s3.put_object(Bucket="lists", Key="shut", Body=b"text")
    with urllib.request.urlopen(f"{cloud.endpoint_url}/lists/open") as answer:
        assert answer.read() == b"text"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{cloud.endpoint_url}/lists/shut")
    assert refused.value.code == 403
    grants = s3.get_object_acl(Bucket="lists", Key="open")["Grants"]
    assert grants[1]["Grantee"]["URI"].endswith("/AllUsers")
    owner = s3.get_object_acl(Bucket="lists", Key="shut")["Owner"]
    s3.put_object_acl(
        Bucket="lists", Key="shut", AccessControlPolicy={"Owner": owner, "Grants": grants}
    )
    with urllib.request.urlopen(f"{cloud.endpoint_url}/lists/shut") as answer:
        assert answer.read() == b"text"


def lower(headers: Any) -> dict[str, str]:
    """Headers by their names in lower case."""
    return {name.lower(): text for name, text in headers.items()}


def form_request(url: str, fields: dict[str, str], body: bytes) -> urllib.request.Request:
    """A form as browsers send it."""
    parts = [
        f'--b0\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
        for name, text in fields.items()
    ]
    file = b'--b0\r\nContent-Disposition: form-data; name="file"; filename="C:\\a b.txt"\r\n'
    file += b"Content-Type: text/plain\r\n\r\n" + body + b"\r\n--b0--\r\n"
    request = urllib.request.Request(url, data=b"".join(parts) + file, method="POST")
    request.add_header("Content-Type", "multipart/form-data; boundary=b0")
    return request


def posted(url: str, fields: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
    """Post a form."""
    request = form_request(url, fields, body)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), lower(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), lower(error.headers)


def test_browsers_post_forms_that_somebody_signed(s3: Any, cloud: Cloud) -> None:
    s3.create_bucket(Bucket="forms")
    form = s3.generate_presigned_post(
        "forms",
        "up/${filename}",
        Fields={
            "acl": "bucket-owner-full-control",
            "success_action_status": "201",
            "Content-Type": "text/x",
            "x-amz-meta-who": "me",
        },
        Conditions=[
            {"acl": "bucket-owner-full-control"},
            {"success_action_status": "201"},
            ["starts-with", "$Content-Type", "text/"],
            ["eq", "$x-amz-meta-who", "me"],
            ["content-length-range", 1, 3_000_000],
        ],
    )
    status, text, headers = posted(form["url"], form["fields"], b"text")
    assert (status, b"<Key>up/a b.txt</Key>" in text) == (201, True), text
    assert headers["location"].endswith("/forms/up/a%20b.txt")
    got = s3.get_object(Bucket="forms", Key="up/a b.txt")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (
        b"text",
        "text/x",
        {"who": "me"},
    )
    large = BODY[:3_000_000]
    assert posted(form["url"], form["fields"], large)[0] == 201
    assert s3.get_object(Bucket="forms", Key="up/a b.txt")["Body"].read() == large
    for fields, body, wanted in (
        (form["fields"], large + b"x", (400, b"EntityTooLarge")),
        (form["fields"], b"", (400, b"EntityTooSmall")),
        (form["fields"] | {"acl": "private"}, b"x", (403, b"Policy Condition failed")),
        (form["fields"] | {"x-amz-meta-b": "c"}, b"x", (403, b"Extra input fields: x-amz-meta-b")),
        (form["fields"] | {"x-ignore-me": "c"}, b"x", (201, b"PostResponse")),
        (form["fields"] | {"x-amz-signature": "0"}, b"x", (403, b"SignatureDoesNotMatch")),
        (form["fields"] | {"policy": "e30="}, b"x", (403, b"SignatureDoesNotMatch")),
        ({"key": "k"}, b"x", (403, b"AccessDenied")),
        ({}, b"x", (400, b"field named 'key'")),
    ):  # fmt: skip
        status, text, _ = posted(form["url"], fields, body)
        assert status == wanted[0], text
        assert wanted[1] in text
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="forms")["Contents"]] == ["up/a b.txt"]


def test_a_forms_success_is_told_as_it_asks(s3: Any) -> None:
    s3.create_bucket(Bucket="told")
    form = s3.generate_presigned_post("told", "key")
    status, text, headers = posted(form["url"], form["fields"], b"text")
    assert (status, text, bool(headers["etag"])) == (204, b"", True)
    where = {"success_action_redirect": "http://localhost/done?x=1"}
    form = s3.generate_presigned_post("told", "key", Fields=where, Conditions=[where])
    request = form_request(form["url"], form["fields"], b"text")
    opener = urllib.request.build_opener(_Stay)
    with pytest.raises(urllib.error.HTTPError) as redirect:
        opener.open(request)
    assert redirect.value.code == 303
    assert redirect.value.headers["location"].startswith(
        "http://localhost/done?x=1&bucket=told&key=key&etag=%22"
    )


class _Stay(urllib.request.HTTPRedirectHandler):
    """Goes nowhere."""

    def redirect_request(self, *args: Any) -> None:
        return None


@pytest.mark.parametrize(
    "algorithm",
    [
        "CRC32",
        "CRC32C",
        "CRC64NVME",
        "SHA1",
        "SHA256",
        "SHA512",
        "XXHASH64",
        "XXHASH3",
        "XXHASH128",
    ],
)
def test_checksums_that_the_client_computes_are_those_of_the_server(
    s3: Any, algorithm: str
) -> None:
    bucket = f"sums-{algorithm.lower()}"
    s3.create_bucket(Bucket=bucket)
    for key, body in (("small", b"milk"), ("large", b"milk" * 100_000)):
        put = s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm=algorithm)
        got = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        assert got["Body"].read() == body, "and the client has verified it"
        member = f"Checksum{algorithm}"
        assert got[member] == put[member]
        wrong = base64.b64encode(bytes(len(base64.b64decode(put[member])))).decode()
        refused = code(s3.put_object, Bucket=bucket, Key=key, Body=body, **{member: wrong})
        assert refused == ("BadDigest", 400)
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    begun = s3.create_multipart_upload(Bucket=bucket, Key="parts", ChecksumAlgorithm=algorithm)
    place = {"Bucket": bucket, "Key": "parts", "UploadId": begun["UploadId"]}
    parts = []
    for number, body in enumerate((b"a" * 5 * 1024 * 1024, b"b"), 1):
        part = s3.upload_part(**place, PartNumber=number, Body=body, ChecksumAlgorithm=algorithm)
        parts.append({"PartNumber": number, "ETag": part["ETag"], member: part[member]})
    done = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    kind = "FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE"
    assert done["ChecksumType"] == kind
    assert done[member].endswith("-2") == (kind == "COMPOSITE")
