"""Who may use a bucket, and who pays, through a real client."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

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
