"""Valid requests of all services, in each protocol that they speak: what garbage is made of."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from .garbage import ACCOUNT, Case

# Stand for what the cloud has given out.
UPLOAD = "the-upload"
HANDLE = "the-handle"
QUEUE = f"http://localhost:4566/{ACCOUNT}/queue"
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow", "Principal": "*", "Action": ["s3:*"], "Resource": "*",
                "Condition": {"StringLike": {"aws:userid": ["a*", "b?"]}},
            }
        ],
    }
)  # fmt: skip
OWN_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Deny", "NotAction": "s3:Get*", "Resource": "*"},
    }
)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def target(service: str, prefix: str, version: str, operation: str, **req: Any) -> Case:
    """A request in JSON."""
    headers = {
        "content-type": f"application/x-amz-json-{version}",
        "x-amz-target": f"{prefix}.{operation}",
    }
    return Case(service, "POST", headers=headers, body=json.dumps(req).encode())


def sqs(operation: str, **req: Any) -> Case:
    return target("sqs", "AmazonSQS", "1.0", operation, **req)


def dynamodb(operation: str, **req: Any) -> Case:
    return target("dynamodb", "DynamoDB_20120810", "1.0", operation, **req)


def query(service: str, version: str, action: str, **req: str) -> Case:
    """A request as a form."""
    form = {"Action": action, "Version": version, **req}
    return Case(service, "POST", headers=FORM, body=urlencode(form).encode())


def iam(action: str, **req: str) -> Case:
    return query("iam", "2010-05-08", action, **req)


def sts(action: str, **req: str) -> Case:
    return query("sts", "2011-06-15", action, **req)


def s3(method: str, path: str, query: str = "", body: str = "", **headers: str) -> Case:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Case("s3", method, f"/shop{path}", query, named, body.encode())


KEY = {"id": {"S": "a"}}
OTHER = {"id": {"S": "b"}}
ITEM = {**KEY, "kind": {"S": "k"}, "n": {"N": "1"}, "pieces": {"L": [{"M": {"x": {"BOOL": True}}}]}}
NAMES = {"ExpressionAttributeNames": {"#n": "n"}}
VALUES = {"ExpressionAttributeValues": {":v": {"N": "1"}}}
TABLE = {"TableName": "table"}
CREATE_TABLE = dynamodb(
    "CreateTable", **TABLE, BillingMode="PAY_PER_REQUEST",
    AttributeDefinitions=[
        {"AttributeName": "id", "AttributeType": "S"},
        {"AttributeName": "kind", "AttributeType": "S"},
    ],
    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    GlobalSecondaryIndexes=[{
        "IndexName": "kinds", "Projection": {"ProjectionType": "ALL"},
        "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
    }],
)  # fmt: skip
DYNAMODB = [
    dynamodb("PutItem", **TABLE, Item=ITEM, ConditionExpression="attribute_not_exists(zz)"),
    dynamodb("GetItem", **TABLE, Key=KEY, ProjectionExpression="#n, pieces[0].x", **NAMES),
    dynamodb(
        "UpdateItem", **TABLE, Key=KEY, UpdateExpression="SET #n = if_not_exists(#n, :v) + :v",
        ReturnValues="ALL_NEW", **NAMES, **VALUES,
    ),
    dynamodb("DeleteItem", **TABLE, Key=KEY, ReturnValues="ALL_OLD"),
    dynamodb(
        "Query", **TABLE, IndexName="kinds", KeyConditionExpression="kind = :k", Limit=3,
        FilterExpression="n BETWEEN :v AND :w OR contains(tags, :k)",
        ExpressionAttributeValues={":k": {"S": "k"}, ":v": {"N": "1"}, ":w": {"N": "2"}},
    ),
    dynamodb("Scan", **TABLE, Limit=2, Segment=0, TotalSegments=2, ExclusiveStartKey=KEY),
    dynamodb(
        "Query", **TABLE,
        KeyConditions={"id": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}},
    ),
    dynamodb(
        "PutItem", **TABLE, Item=ITEM,
        Expected={"z": {"Exists": False}, "n": {"ComparisonOperator": "NOT_NULL"}},
    ),
    dynamodb(
        "BatchWriteItem",
        RequestItems={"table": [{"PutRequest": {"Item": ITEM}}, {"DeleteRequest": {"Key": OTHER}}]},
    ),
    dynamodb("BatchGetItem", RequestItems={"table": {"Keys": [KEY], "ConsistentRead": True}}),
    dynamodb(
        "TransactWriteItems", ClientRequestToken="t",
        TransactItems=[
            {"Update": {"UpdateExpression": "ADD #n :v", "Key": KEY, **TABLE, **NAMES, **VALUES}},
            {"ConditionCheck": {
                "ConditionExpression": "attribute_not_exists(id)", "Key": {"id": {"S": "c"}}, **TABLE,
            }},
        ],
    ),
    dynamodb("TransactGetItems", TransactItems=[{"Get": {"Key": KEY, **TABLE}}]),
    dynamodb(
        "UpdateTable", **TABLE,
        GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "nowhere"}}],
    ),
    dynamodb("DescribeTable", **TABLE),
    dynamodb("ListTables", Limit=5, ExclusiveStartTableName="abc"),
    dynamodb(
        "UpdateTimeToLive", **TABLE,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "n"},
    ),
    CREATE_TABLE,
]  # fmt: skip
ATTRIBUTES = {"a": {"DataType": "String", "StringValue": "x"}}
SQS = [
    sqs("SendMessage", QueueUrl=QUEUE, MessageBody="m", DelaySeconds=1, MessageAttributes=ATTRIBUTES),
    sqs("ReceiveMessage", QueueUrl=QUEUE, MaxNumberOfMessages=2, WaitTimeSeconds=1,
        MessageAttributeNames=["a.*"]),
    sqs("SendMessageBatch", QueueUrl=QUEUE, Entries=[{"Id": "1", "MessageBody": "x"}]),
    sqs("DeleteMessage", QueueUrl=QUEUE, ReceiptHandle=HANDLE),
    sqs("DeleteMessageBatch", QueueUrl=QUEUE, Entries=[{"Id": "1", "ReceiptHandle": "x"}]),
    sqs("ChangeMessageVisibility", QueueUrl=QUEUE, ReceiptHandle=HANDLE, VisibilityTimeout=3),
    sqs("CreateQueue", QueueName="other.fifo", Attributes={"FifoQueue": "true"}, tags={"a": "b"}),
    sqs("SetQueueAttributes", QueueUrl=QUEUE, Attributes={"Policy": POLICY, "DelaySeconds": "1"}),
    sqs("GetQueueAttributes", QueueUrl=QUEUE, AttributeNames=["All"]),
    sqs("ListQueues", QueueNamePrefix="q", MaxResults=3, NextToken="x"),
    sqs("StartMessageMoveTask", SourceArn=f"arn:aws:sqs:us-east-1:{ACCOUNT}:queue"),
    sqs("AddPermission", QueueUrl=QUEUE, Label="l", AWSAccountIds=[ACCOUNT], Actions=["*"]),
    query("sqs", "2012-11-05", "SendMessage", QueueUrl=QUEUE, MessageBody="m",
          **{"MessageAttribute.1.Name": "a", "MessageAttribute.1.Value.DataType": "String",
             "MessageAttribute.1.Value.StringValue": "v"}),
    query("sqs", "2012-11-05", "ReceiveMessage", QueueUrl=QUEUE, WaitTimeSeconds="0"),
]  # fmt: skip
IAM = [
    iam("CreateUser", UserName="new", Path="/a/", **{"Tags.member.1.Key": "k",
                                                   "Tags.member.1.Value": "v"}),
    iam("PutUserPolicy", UserName="u", PolicyName="p", PolicyDocument=OWN_POLICY),
    iam("CreateRole", RoleName="new", AssumeRolePolicyDocument=TRUST, MaxSessionDuration="3600"),
    iam("CreatePolicy", PolicyName="p", PolicyDocument=OWN_POLICY),
    iam("ListUsers", MaxItems="2", Marker="x", PathPrefix="/"),
    iam("GetPolicy", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/p"),
    iam("AttachUserPolicy", UserName="u", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"),
    iam("CreateAccessKey", UserName="u"),
    sts("GetCallerIdentity"),
    sts("AssumeRole", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/r", RoleSessionName="session",
        DurationSeconds="900", Policy=OWN_POLICY),
    sts("GetSessionToken", DurationSeconds="900"),
]  # fmt: skip
DELETE = "<Delete><Object><Key>a</Key></Object><Quiet>true</Quiet></Delete>"
COMPLETE = (
    "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>"
    "</CompleteMultipartUpload>"
)
TAGS = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
VERSIONING = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
CORS = (
    "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
    "</CORSRule></CORSConfiguration>"
)
CREATE_BUCKET = s3("PUT", "", "", "<CreateBucketConfiguration/>")
S3 = [
    s3("PUT", "/a", "", "body", x_amz_meta_a="b", content_type="text/plain"),
    s3("PUT", "/large", "", "body" * 20_000, x_amz_checksum_crc32="AAAAAA=="),
    s3("PUT", "/b", "", "", x_amz_copy_source="/shop/a", x_amz_metadata_directive="REPLACE"),
    s3(
        "PUT",
        "/chunked",
        "",
        "4\r\nbody\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        content_encoding="aws-chunked",
        x_amz_decoded_content_length="4",
        x_amz_trailer="x-amz-checksum-crc32",
        x_amz_content_sha256="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ),
    s3("GET", "/a", "", "", range="bytes=0-1", if_none_match='"x"'),
    s3("HEAD", "/a", "partNumber=1"),
    s3("GET", "", "list-type=2&max-keys=3&prefix=a&delimiter=%2F&encoding-type=url"),
    s3("GET", "", "versions&key-marker=a&version-id-marker=x"),
    s3("POST", "", "delete", DELETE),
    s3("POST", "/m", "uploads"),
    s3("PUT", "/m", "partNumber=1&uploadId=" + UPLOAD, "part"),
    s3("POST", "/m", "uploadId=" + UPLOAD, COMPLETE),
    s3("GET", "/m", "uploadId=" + UPLOAD + "&max-parts=2"),
    s3("DELETE", "/a", "versionId=null"),
    s3("PUT", "/a", "tagging", TAGS),
    s3("PUT", "", "versioning", VERSIONING),
    s3("PUT", "", "policy", POLICY),
    s3("PUT", "", "cors", CORS),
    s3("GET", "/a", "attributes", "", x_amz_object_attributes="ETag,ObjectParts"),
    s3("GET", "", "location"),
    CREATE_BUCKET,
]
FURNITURE = [
    CREATE_BUCKET,
    s3("PUT", "/a", "", "body"),
    sqs("CreateQueue", QueueName="queue"),
    sqs("SendMessage", QueueUrl=QUEUE, MessageBody="m"),
    CREATE_TABLE,
    iam("CreateUser", UserName="u"),
    iam("CreateRole", RoleName="r", AssumeRolePolicyDocument=TRUST),
]
BEGIN_UPLOAD = s3("POST", "/m", "uploads")
RECEIVE = sqs("ReceiveMessage", QueueUrl=QUEUE)
VALID = [*DYNAMODB, *SQS, *IAM, *S3]
