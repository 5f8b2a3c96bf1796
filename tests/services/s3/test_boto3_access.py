"""Who may use a bucket, and who pays, through a real client."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.services.iam import totp
from doppio.testing import Account, Cloud

from .test_boto3 import form_request


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def s3_of(account: Account) -> Any:
    from botocore.config import Config

    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    return account.client("s3", config=config)


def test_requesters_pay_over_the_wire(cloud: Cloud) -> None:
    from botocore.exceptions import ClientError

    owner, guest = cloud.account(), cloud.account()
    s3, theirs = s3_of(owner), s3_of(guest)
    s3.create_bucket(Bucket="paid")
    s3.put_object(Bucket="paid", Key="k", Body=b"coffee")
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": guest.account_id},
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::paid", "arn:aws:s3:::paid/*"],
    }
    s3.put_bucket_policy(
        Bucket="paid", Policy=json.dumps({"Version": "2012-10-17", "Statement": allow})
    )
    s3.put_bucket_request_payment(Bucket="paid", RequestPaymentConfiguration={"Payer": "Requester"})
    assert s3.get_bucket_request_payment(Bucket="paid")["Payer"] == "Requester"
    with pytest.raises(ClientError) as refused:
        theirs.get_object(Bucket="paid", Key="k")
    answer = refused.value.response
    assert answer["Error"]["Code"] == "AccessDenied"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    got = theirs.get_object(Bucket="paid", Key="k", RequestPayer="requester")
    assert (got["Body"].read(), got["RequestCharged"]) == (b"coffee", "requester")
    assert theirs.list_objects_v2(Bucket="paid", RequestPayer="requester")["RequestCharged"]
    assert "RequestCharged" not in s3.get_object(Bucket="paid", Key="k")
    url = theirs.generate_presigned_url(
        "get_object", Params={"Bucket": "paid", "Key": "k", "RequestPayer": "requester"}
    )
    asked = urllib.request.Request(url, headers={"x-amz-request-payer": "requester"})
    with urllib.request.urlopen(asked) as page:
        assert page.read() == b"coffee"
        assert page.headers["x-amz-request-charged"] == "requester"


def test_mfa_delete_over_the_wire(cloud: Cloud) -> None:
    from botocore.exceptions import ClientError

    owner = cloud.account()
    s3, iam = s3_of(owner), owner.client("iam")
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="root-account-mfa-device")
    serial = device["VirtualMFADevice"]["SerialNumber"]
    seed = base64.b32decode(device["VirtualMFADevice"]["Base32StringSeed"])
    now = totp.step_of(time.time())
    iam.enable_mfa_device(
        UserName=owner.account_id,
        SerialNumber=serial,
        AuthenticationCode1=totp.code_at(seed, now - 1),
        AuthenticationCode2=totp.code_at(seed, now),
    )
    s3.create_bucket(Bucket="guarded")
    guard = {"Status": "Enabled", "MFADelete": "Enabled"}
    mfa = f"{serial} {totp.code_at(seed, now + 1)}"
    s3.put_bucket_versioning(Bucket="guarded", VersioningConfiguration=guard, MFA=mfa)
    found = s3.get_bucket_versioning(Bucket="guarded")
    assert (found["Status"], found["MFADelete"]) == ("Enabled", "Enabled")
    version = s3.put_object(Bucket="guarded", Key="k", Body=b"x")["VersionId"]
    for more in ({}, {"MFA": mfa}):
        with pytest.raises(ClientError) as refused:
            s3.delete_object(Bucket="guarded", Key="k", VersionId=version, **more)
        assert refused.value.response["Error"]["Code"] == "AccessDenied"


def denying(s3: Any, bucket: str, action: str, **condition: Any) -> None:
    """Deny an action on a bucket's objects to everybody, its owner too."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": condition,
    }
    s3.put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statement})
    )


def status(url: str) -> int:
    """What a GET is answered with."""
    try:
        with urllib.request.urlopen(url) as page:
            return int(page.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_policies_may_ask_how_a_request_is_signed(cloud: Cloud) -> None:
    from botocore.config import Config
    from botocore.exceptions import ClientError

    owner = cloud.account()
    s3 = s3_of(owner)
    s3.create_bucket(Bucket="signed-ways")
    s3.put_object(Bucket="signed-ways", Key="k", Body=b"coffee")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "signed-ways", "Key": "k"})
    old = owner.client("s3", config=Config(signature_version="s3"))
    assert status(url) == 200
    assert old.get_object(Bucket="signed-ways", Key="k")
    denying(s3, "signed-ways", "s3:GetObject", StringNotEquals={"s3:authType": "REST-HEADER"})
    assert status(url) == 403
    assert s3.get_object(Bucket="signed-ways", Key="k")
    denying(s3, "signed-ways", "s3:GetObject", StringEquals={"s3:signatureversion": "AWS"})
    assert status(url) == 200
    with pytest.raises(ClientError) as refused:
        old.get_object(Bucket="signed-ways", Key="k")
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    denying(s3, "signed-ways", "s3:GetObject", NumericGreaterThan={"s3:signatureAge": 600000})
    assert status(url) == 200
    cloud.advance("11m")
    assert status(url) == 403
    assert s3.get_object(Bucket="signed-ways", Key="k")
    known = {"s3:x-amz-content-sha256": hashlib.sha256(b"tea").hexdigest()}
    denying(s3, "signed-ways", "s3:PutObject", StringEquals=known)
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="signed-ways", Key="k", Body=b"tea")
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    s3.put_object(Bucket="signed-ways", Key="k", Body=b"x")
    denying(s3, "signed-ways", "s3:PutObject", StringEquals={"s3:authType": "POST"})
    s3.put_object(Bucket="signed-ways", Key="k", Body=b"x")
    form = s3.generate_presigned_post("signed-ways", "posted")
    posting = form_request(form["url"], form["fields"], b"text")
    with pytest.raises(urllib.error.HTTPError) as denied:
        urllib.request.urlopen(posting)
    assert denied.value.code == 403
    s3.delete_bucket_policy(Bucket="signed-ways")
    with urllib.request.urlopen(posting) as answer:
        assert answer.status == 204


def test_boto3_signs_anew_for_the_region_that_it_is_told(cloud: Cloud) -> None:
    owner = cloud.account()
    here = owner.client("s3", region_name="eu-west-1")
    where: Any = {"LocationConstraint": "eu-west-1"}
    here.create_bucket(Bucket="abroad", CreateBucketConfiguration=where)
    here.put_object(Bucket="abroad", Key="k", Body=b"coffee")
    astray = s3_of(owner)
    assert astray.get_object(Bucket="abroad", Key="k")["Body"].read() == b"coffee"
    astray = s3_of(owner)
    assert astray.head_bucket(Bucket="abroad")["BucketRegion"] == "eu-west-1"
    astray = s3_of(owner)
    astray.put_object(Bucket="abroad", Key="new", Body=b"tea")
    assert here.head_object(Bucket="abroad", Key="new")["ContentLength"] == 3
