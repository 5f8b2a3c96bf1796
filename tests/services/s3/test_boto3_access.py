"""Who may use a bucket, and who pays, through a real client."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.services.iam import totp
from doppio.testing import Account, Cloud


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
