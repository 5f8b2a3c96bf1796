"""The five services through boto3, unchanged, over the network."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.services.sts.issuer import issuing

from .conftest import Account


def code_of(call: Any, *given: Any, **req: Any) -> tuple[str, int]:
    """Code and status with which a call fails."""
    with pytest.raises(ClientError) as caught:
        call(*given, **req)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def eventually(call: Any) -> Any:
    """The result of a call that is still denied for a moment at most."""
    for _ in range(50):
        try:
            return call()
        except ClientError as error:
            if not error.response["Error"]["Code"].startswith("AccessDenied"):
                raise
            time.sleep(0.1)
    return call()


def fetch(
    url: str, *, data: bytes | None = None, method: str = "GET", **headers: str
) -> tuple[int, bytes]:
    """Ask without any SDK."""
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def buckets_as_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """`*.localhost` is this machine, as systemd and browsers know and not every resolver does."""
    found = socket.getaddrinfo

    def local(host: Any, *given: Any, **more: Any) -> Any:
        here = isinstance(host, str) and host.endswith(".localhost")
        return found("localhost" if here else host, *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", local)


@pytest.mark.usefixtures("buckets_as_hosts")
@pytest.mark.parametrize("style", ["path", "virtual"])
def test_objects_come_back_as_they_were_put(account: Account, style: str) -> None:
    s3 = account.client("s3", s3={"addressing_style": style})
    bucket = f"menu-{style}-{account.number}"
    s3.create_bucket(Bucket=bucket)
    s3.get_waiter("bucket_exists").wait(Bucket=bucket)
    key = "Kaffee & Kuchen/ä+b c%20?.txt"
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"mocha", Metadata={"size": "big"})
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == b"mocha"
    assert (got["ETag"], got["Metadata"]) == (put["ETag"], {"size": "big"})
    part = s3.get_object(Bucket=bucket, Key=key, Range="bytes=1-3")
    assert (part["Body"].read(), part["ResponseMetadata"]["HTTPStatusCode"]) == (b"och", 206)
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    assert code_of(s3.get_object, Bucket=bucket, Key=key) == ("NoSuchKey", 404)
    s3.delete_bucket(Bucket=bucket)
    assert code_of(s3.head_bucket, Bucket=bucket) == ("404", 404)


def test_large_files_go_in_parts_and_come_in_ranges(account: Account) -> None:
    s3 = account.client("s3")
    bucket = f"beans-{account.number}"
    s3.create_bucket(Bucket=bucket)
    content = hashlib.shake_256(b"beans").digest(20 * 1024 * 1024 + 17)
    config = TransferConfig(
        multipart_threshold=8 * 1024 * 1024, multipart_chunksize=5 * 1024 * 1024
    )
    s3.upload_fileobj(io.BytesIO(content), bucket, "sack", Config=config)
    assert s3.head_object(Bucket=bucket, Key="sack")["ETag"].endswith('-5"')
    back = io.BytesIO()
    s3.download_fileobj(bucket, "sack", back, Config=config)
    assert back.getvalue() == content


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls_need_no_key_and_end(account: Account, version: str) -> None:
    s3 = account.client("s3", signature_version=version)
    bucket = f"orders-{version}-{account.number}"
    s3.create_bucket(Bucket=bucket)
    named = {"Bucket": bucket, "Key": "order 1"}
    typed = {**named, "ContentType": "text/plain"}
    up = s3.generate_presigned_url("put_object", Params=typed, ExpiresIn=60)
    status, body = fetch(up, data=b"two espressi", method="PUT", **{"Content-Type": "text/plain"})
    assert (status, body) == (200, b"")
    down = s3.generate_presigned_url("get_object", Params=named, ExpiresIn=60)
    assert fetch(down) == (200, b"two espressi")
    forged = down.replace("order%201", "order%202")
    status, body = fetch(forged)
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)


def test_a_queue_works_by_json_and_by_the_older_query_protocol(account: Account) -> None:
    sqs = account.client("sqs")
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    assert url == f"{sqs.meta.endpoint_url}/{account.number}/orders"
    sent = sqs.send_message(
        QueueUrl=url, MessageBody="flat white",
        MessageAttributes={"size": {"DataType": "String", "StringValue": "big"}},
    )  # fmt: skip
    [message] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "flat white")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    asked = AWSRequest(
        "POST", f"{account.endpoint}/",
        headers={"content-type": "application/x-www-form-urlencoded"},
        data="Action=GetQueueUrl&QueueName=orders&Version=2012-11-05",
    )  # fmt: skip
    SigV4Auth(Credentials(account.number, "test"), "sqs", "us-east-1").add_auth(asked)
    status, body = fetch(asked.url, data=asked.data.encode(), method="POST", **dict(asked.headers))
    assert (status, f"/{account.number}/orders</QueueUrl>".encode() in body) == (200, True)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="none")
    assert code_of(sqs.get_queue_url, QueueName="none") == (
        "AWS.SimpleQueueService.NonExistentQueue", 400,
    )  # fmt: skip


def test_a_batch_tells_what_failed(account: Account) -> None:
    sqs = account.client("sqs")
    url = sqs.create_queue(QueueName="q.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    answer = sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {
                "Id": "good",
                "MessageBody": "x",
                "MessageGroupId": "g",
                "MessageDeduplicationId": "1",
            },
            {"Id": "bad", "MessageBody": "x", "MessageGroupId": "g"},
        ],
    )
    assert [one["Id"] for one in answer["Successful"]] == ["good"]
    assert [one["Id"] for one in answer["Failed"]] == ["bad"]


def test_a_table_is_queried_scanned_and_changed(account: Account) -> None:
    dynamodb = account.client("dynamodb")
    dynamodb.create_table(
        TableName="orders", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "day", "AttributeType": "S"},
            {"AttributeName": "number", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "day", "KeyType": "HASH"},
            {"AttributeName": "number", "KeyType": "RANGE"},
        ],
    )  # fmt: skip
    dynamodb.get_waiter("table_exists").wait(TableName="orders", WaiterConfig={"Delay": 1})
    for number in range(30):
        dynamodb.put_item(
            TableName="orders", Item={"day": {"S": "mon"}, "number": {"N": str(number)}}
        )
    pages = dynamodb.get_paginator("query").paginate(
        TableName="orders", KeyConditionExpression="#d = :d AND #n >= :n",
        ExpressionAttributeNames={"#d": "day", "#n": "number"},
        ExpressionAttributeValues={":d": {"S": "mon"}, ":n": {"N": "10"}},
        PaginationConfig={"PageSize": 7},
    )  # fmt: skip
    found = [int(item["number"]["N"]) for page in pages for item in page["Items"]]
    assert found == list(range(10, 30))
    key = {"day": {"S": "mon"}, "number": {"N": "1"}}
    changed = dynamodb.update_item(
        TableName="orders", Key=key, UpdateExpression="ADD cups :c", ReturnValues="ALL_NEW",
        ExpressionAttributeValues={":c": {"N": "2"}},
    )  # fmt: skip
    assert changed["Attributes"]["cups"] == {"N": "2"}
    with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.delete_item(
            TableName="orders", Key=key, ConditionExpression="attribute_not_exists(cups)"
        )
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException) as caught:
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "orders", "Item": {**key, "x": {"S": "y"}}}},
                {"ConditionCheck": {"TableName": "orders", "Key": {**key, "number": {"N": "99"}},
                                    "ConditionExpression": "attribute_exists(cups)"}},
            ]
        )  # fmt: skip
    reasons = [one["Code"] for one in caught.value.response["CancellationReasons"]]
    assert reasons == ["None", "ConditionalCheckFailed"]
    assert "x" not in dynamodb.get_item(TableName="orders", Key=key)["Item"]
    counted = dynamodb.get_paginator("scan").paginate(TableName="orders", Select="COUNT")
    assert sum(page["Count"] for page in counted) == 30


def test_a_tables_stream_is_read_to_its_end(account: Account) -> None:
    tables, streams = account.client("dynamodb"), account.client("dynamodbstreams")
    made = tables.create_table(
        TableName="orders", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )  # fmt: skip
    arn = made["TableDescription"]["LatestStreamArn"]
    tables.get_waiter("table_exists").wait(TableName="orders")
    tables.put_item(TableName="orders", Item={"id": {"S": "1"}, "raw": {"B": b"mocha"}})
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    begin = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )
    [record] = streams.get_records(ShardIterator=begin["ShardIterator"])["Records"]
    assert record["dynamodb"]["NewImage"] == {"id": {"S": "1"}, "raw": {"B": b"mocha"}}
    assert record["eventName"] == "INSERT"


def test_a_users_keys_open_what_its_policy_says(account: Account) -> None:
    iam, sts = account.client("iam"), account.client("sts")
    iam.create_user(UserName="barista")
    key = iam.create_access_key(UserName="barista")["AccessKey"]
    keys = (key["AccessKeyId"], key["SecretAccessKey"])
    me = account.client("sts", keys=keys).get_caller_identity()
    assert me["Arn"] == f"arn:aws:iam::{account.number}:user/barista"
    sqs = account.client("sqs", keys=keys)
    assert code_of(sqs.list_queues)[0].startswith("AccessDenied")
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"},
    ]}  # fmt: skip
    iam.put_user_policy(UserName="barista", PolicyName="look", PolicyDocument=json.dumps(document))
    # Another gateway on the same store hears of it within a moment.
    looked = eventually(sqs.list_queues)
    assert "QueueUrls" not in looked
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": account.number}},
    ]}  # fmt: skip
    arn = iam.create_role(RoleName="brewing", AssumeRolePolicyDocument=json.dumps(trust))["Role"][
        "Arn"
    ]
    got = sts.assume_role(RoleArn=arn, RoleSessionName="shift")["Credentials"]
    session = (got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    me = account.client("sts", keys=session).get_caller_identity()
    assert me["Arn"] == f"arn:aws:sts::{account.number}:assumed-role/brewing/shift"


def test_a_token_of_an_issuer_opens_a_role_without_any_key(account: Account) -> None:
    iam, host = account.client("iam"), ""
    with issuing() as issuer:
        host = issuer.url.removeprefix("https://")
        provider = iam.create_open_id_connect_provider(
            Url=issuer.url, ClientIDList=["till"], ThumbprintList=[issuer.thumbprint]
        )["OpenIDConnectProviderArn"]
        trust = {
            "Effect": "Allow", "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{host}:sub": "barista-1"}},
        }  # fmt: skip
        role = iam.create_role(
            RoleName="baristas",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
        )["Role"]["Arn"]
        got = account.client("sts", signature_version=UNSIGNED).assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="shift", WebIdentityToken=issuer.token(now=datetime.now(UTC)),
        )  # fmt: skip
        assert got["AssumedRoleUser"]["Arn"].endswith(":assumed-role/baristas/shift")


def test_wrong_keys_have_awss_codes(account: Account) -> None:
    unknown, wrong = ("AKIAIOSFODNN7EXAMPLE", "x"), (account.number, "wrong")
    expected = {
        "s3": (("InvalidAccessKeyId", 403), ("SignatureDoesNotMatch", 403)),
        "dynamodb": (("UnrecognizedClientException", 400), ("InvalidSignatureException", 400)),
        "sqs": (("InvalidClientTokenId", 400), ("SignatureDoesNotMatch", 400)),
        "iam": (("InvalidClientTokenId", 403), ("SignatureDoesNotMatch", 403)),
        "sts": (("InvalidClientTokenId", 403), ("SignatureDoesNotMatch", 403)),
    }
    calls = {"s3": "list_buckets", "dynamodb": "list_tables", "sqs": "list_queues",
             "iam": "list_users", "sts": "get_caller_identity"}  # fmt: skip
    for service, (of_unknown, of_wrong) in expected.items():
        method = calls[service]
        assert code_of(getattr(account.client(service, keys=unknown), method)) == of_unknown
        assert code_of(getattr(account.client(service, keys=wrong), method)) == of_wrong


@pytest.mark.parametrize("word", ["test", "testcontainers-localstack"])
def test_tools_that_look_for_localstack_bring_keys_that_open_the_default_account(
    account: Account, word: str
) -> None:
    who = account.client("sts", keys=(word, word)).get_caller_identity()
    assert who["Arn"] == "arn:aws:iam::000000000000:root"
    wrong = account.client("sts", keys=(word, "else"))
    assert code_of(wrong.get_caller_identity) == ("SignatureDoesNotMatch", 403)


def test_nobody_sees_only_what_is_public(account: Account) -> None:
    s3 = account.client("s3")
    bucket = f"public-{account.number}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="menu", Body=b"tea")
    nobody = account.client("s3", signature_version=UNSIGNED)
    assert code_of(nobody.get_object, Bucket=bucket, Key="menu") == ("AccessDenied", 403)
    s3.delete_public_access_block(Bucket=bucket)
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
         "Resource": f"arn:aws:s3:::{bucket}/*"},
    ]}  # fmt: skip
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    assert nobody.get_object(Bucket=bucket, Key="menu")["Body"].read() == b"tea"


def test_accounts_are_apart(account: Account) -> None:
    other = Account([account.endpoint], "999999999999")
    account.client("sqs").create_queue(QueueName="mine")
    assert "QueueUrls" not in other.client("sqs").list_queues()
    s3 = account.client("s3")
    bucket = f"mine-{account.number}"
    s3.create_bucket(Bucket=bucket)
    assert code_of(other.client("s3").list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)
    assert code_of(other.client("s3").create_bucket, Bucket=bucket) == ("BucketAlreadyExists", 409)


def test_what_is_not_there_is_said_not_to_be(account: Account) -> None:
    with pytest.raises(ClientError) as caught:
        account.client("codebuild").list_projects()
    answer = caught.value.response
    assert answer["Error"]["Code"] == "NotImplemented"
    assert "codebuild:ListProjects" in answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_bucket_of_another_region_is_told_to_the_client(account: Account) -> None:
    bucket = f"far-{account.number}"
    far = account.client("s3", region="eu-west-1")
    far.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    answer = account.client("s3").head_bucket(Bucket=bucket)
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "eu-west-1"
    assert (
        account.client("s3").get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-west-1"
    )


def test_sns_tells_queues_and_confirms_by_its_link(account: Account) -> None:
    sns, sqs = account.client("sns"), account.client("sqs")
    topic = sns.create_topic(Name="news")["TopicArn"]
    url = sqs.create_queue(QueueName="news")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="hello", Subject="News")
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    told = json.loads(message["Body"])
    assert (told["Message"], told["Subject"]) == ("hello", "News")
    with urllib.request.urlopen(told["SigningCertURL"]) as page:
        assert page.read().startswith(b"-----BEGIN CERTIFICATE-----")
    with urllib.request.urlopen(told["UnsubscribeURL"]) as answer:
        assert answer.status == 200
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.publish(TopicArn=topic + "x", Message="hello")


def test_kms_seals_what_s3_keeps(account: Account) -> None:
    kms, s3 = account.client("kms"), account.client("s3")
    key = kms.create_key(Description="recipes")["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/recipes", TargetKeyId=key)
    sealed = kms.encrypt(KeyId="alias/recipes", Plaintext=b"beans", EncryptionContext={"a": "b"})
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext={"a": "b"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"beans", key)
    bucket = f"sealed-{account.number}"
    s3.create_bucket(Bucket=bucket)
    body = b"x" * 300_000
    s3.put_object(
        Bucket=bucket, Key="k", Body=body, ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["SSEKMSKeyId"], got["Body"].read()) == (key, body)
    assert s3.get_object(Bucket=bucket, Key="k", Range="bytes=1-3")["Body"].read() == b"xxx"
    kms.disable_key(KeyId=key)
    assert code_of(s3.get_object, Bucket=bucket, Key="k") == ("KMS.DisabledException", 400)
    mine = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"k" * 32}
    s3.put_object(Bucket=bucket, Key="mine", Body=body, **mine)
    assert s3.get_object(Bucket=bucket, Key="mine", **mine)["Body"].read() == body
    assert code_of(s3.get_object, Bucket=bucket, Key="mine") == ("InvalidRequest", 400)


def test_s3_locks_restores_and_tells(account: Account) -> None:
    s3, sqs = account.client("s3"), account.client("sqs")
    bucket = f"locked-{account.number}"
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectRestore:Post"]}]
        },
    )
    (first,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    assert json.loads(first["Body"])["Event"] == "s3:TestEvent"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    made = s3.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="GLACIER")
    where = {"Bucket": bucket, "Key": "k", "VersionId": made["VersionId"]}
    s3.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
    assert code_of(s3.delete_object, **where) == ("AccessDenied", 403)
    with pytest.raises(s3.exceptions.InvalidObjectState) as caught:
        s3.get_object(**where)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    asked = {"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}}
    answer = s3.restore_object(**where, RestoreRequest=asked)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    (record,) = json.loads(message["Body"])["Records"]
    assert (record["eventName"], record["s3"]["object"]["key"]) == ("ObjectRestore:Post", "k")
    rule = {"ID": "r", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    assert 'rule-id="r"' in s3.head_object(Bucket=bucket, Key="k")["Expiration"]
