"""S3 Control through a real client, also with the hosts that AWS gives it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from doppio.testing import Account, Cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with Cloud() as running:
        yield running


def at_localhost(account: Account, service: str, **more: Any) -> Any:
    """A client whose endpoint has a name, before which clients put accounts and access points."""
    endpoint = account.endpoint_url.replace("127.0.0.1", "localhost")
    account.endpoint_url = endpoint
    return account.client(service, **more)


def test_the_accounts_block_goes_there_and_back(cloud: Cloud, here: None) -> None:
    from botocore.exceptions import ClientError

    account = cloud.account()
    control = at_localhost(account, "s3control")
    me = account.account_id
    with pytest.raises(ClientError) as refused:
        control.get_public_access_block(AccountId=me)
    answer = refused.value.response
    assert answer["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 404
    block = {"BlockPublicAcls": True, "RestrictPublicBuckets": True}
    control.put_public_access_block(AccountId=me, PublicAccessBlockConfiguration=block)
    found = control.get_public_access_block(AccountId=me)["PublicAccessBlockConfiguration"]
    assert found == block | {"IgnorePublicAcls": False, "BlockPublicPolicy": False}
    control.delete_public_access_block(AccountId=me)
    with pytest.raises(ClientError) as refused:
        control.get_public_access_block(AccountId="999999999999")
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_a_job_is_made_followed_and_done(cloud: Cloud, here: None) -> None:
    account = cloud.account()
    control = at_localhost(account, "s3control")
    client, iam, me = account.client("s3"), account.client("iam"), account.account_id
    client.create_bucket(Bucket="jobs")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole",
             "Principal": {"Service": "batchoperations.s3.amazonaws.com"}}  # fmt: skip
    may = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    role = iam.create_role(
        RoleName="batch",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="batch", PolicyName="p",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [may]}),
    )  # fmt: skip
    for number in range(120):
        client.put_object(Bucket="jobs", Key=f"k{number}", Body=b"x")
    lines = "".join(f"jobs,k{number}\n" for number in range(120))
    etag = client.put_object(Bucket="jobs", Key="list.csv", Body=lines.encode())["ETag"]
    report = {
        "Bucket": "arn:aws:s3:::jobs", "Format": "Report_CSV_20180820", "Enabled": True,
        "Prefix": "report", "ReportScope": "AllTasks",
    }  # fmt: skip
    job = control.create_job(
        AccountId=me, ConfirmationRequired=True, Priority=1, RoleArn=role, Report=report,
        Operation={"S3PutObjectTagging": {"TagSet": [{"Key": "a", "Value": "b"}]}},
        Manifest={
            "Spec": {"Format": "S3BatchOperations_CSV_20180820", "Fields": ["Bucket", "Key"]},
            "Location": {"ObjectArn": "arn:aws:s3:::jobs/list.csv", "ETag": etag},
        },
        Tags=[{"Key": "team", "Value": "beans"}],
    )["JobId"]  # fmt: skip

    def waited(status: str) -> Any:
        for _ in range(200):
            found = control.describe_job(AccountId=me, JobId=job)["Job"]
            if found["Status"] == status:
                return found
            time.sleep(0.05)
        raise AssertionError(found)

    assert waited("Suspended")["ProgressSummary"]["TotalNumberOfTasks"] == 120
    control.update_job_status(AccountId=me, JobId=job, RequestedJobStatus="Ready")
    assert waited("Complete")["ProgressSummary"]["NumberOfTasksSucceeded"] == 120
    tags = client.get_object_tagging(Bucket="jobs", Key="k119")["TagSet"]
    assert tags == [{"Key": "a", "Value": "b"}]
    told = client.get_object(Bucket="jobs", Key=f"report/job-{job}/manifest.json")["Body"].read()
    [part] = json.loads(told)["Results"]
    rows = client.get_object(Bucket="jobs", Key=part["Key"])["Body"].read().decode().splitlines()
    assert len(rows) == 120
    assert rows[0] == "jobs,k0,,succeeded,200,,Successful"
    listed = control.list_jobs(AccountId=me, JobStatuses=["Complete"])["Jobs"]
    assert [one["JobId"] for one in listed] == [job]
    assert control.get_job_tagging(AccountId=me, JobId=job)["Tags"][0]["Key"] == "team"


def test_storage_lens_is_configured_and_writes_its_export(cloud: Cloud, here: None) -> None:
    account = cloud.account()
    control = at_localhost(account, "s3control")
    client, me = account.client("s3"), account.account_id
    client.create_bucket(Bucket="seen")
    client.create_bucket(Bucket="exports")
    client.put_object(Bucket="seen", Key="k", Body=b"12345")
    allow = {"Effect": "Allow", "Principal": {"Service": "storage-lens.s3.amazonaws.com"},
             "Action": "s3:PutObject", "Resource": "arn:aws:s3:::exports/*"}  # fmt: skip
    client.put_bucket_policy(
        Bucket="exports", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )
    destination = {"Format": "CSV", "OutputSchemaVersion": "V_1", "AccountId": me,
                   "Arn": "arn:aws:s3:::exports", "Encryption": {"SSES3": {}}}  # fmt: skip
    control.put_storage_lens_configuration(
        ConfigId="daily", AccountId=me, Tags=[{"Key": "a", "Value": "b"}],
        StorageLensConfiguration={
            "Id": "daily", "IsEnabled": True, "AccountLevel": {"BucketLevel": {}},
            "Include": {"Buckets": ["arn:aws:s3:::seen"]},
            "DataExport": {"S3BucketDestination": destination},
        },
    )  # fmt: skip
    [listed] = control.list_storage_lens_configurations(AccountId=me)[
        "StorageLensConfigurationList"
    ]
    assert (listed["Id"], listed["IsEnabled"]) == ("daily", True)
    found = control.get_storage_lens_configuration(ConfigId="daily", AccountId=me)
    told = found["StorageLensConfiguration"]
    assert told["DataExport"]["S3BucketDestination"]["Arn"] == "arn:aws:s3:::exports"
    assert told["Include"] == {"Buckets": ["arn:aws:s3:::seen"]}
    tagged = control.get_storage_lens_configuration_tagging(ConfigId="daily", AccountId=me)
    assert tagged["Tags"] == [{"Key": "a", "Value": "b"}]
    account.advance("1d")
    for _ in range(200):
        keys = [one["Key"] for one in client.list_objects_v2(Bucket="exports").get("Contents", [])]
        if len(keys) == 2:
            break
        time.sleep(0.05)
    [report] = [key for key in keys if key.endswith(".csv")]
    body = client.get_object(Bucket="exports", Key=report)["Body"].read().decode()
    [line] = [one for one in body.splitlines() if ",BUCKET,,seen,StorageBytes," in one]
    assert line.endswith(",5")
    control.delete_storage_lens_configuration(ConfigId="daily", AccountId=me)
