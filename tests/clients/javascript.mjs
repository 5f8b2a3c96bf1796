// The AWS SDK for JavaScript v3 against the cloud. Each check throws, and the last line says "done".
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { Readable } from "node:stream";

const load = createRequire(process.env.DOPPIO_TEST_MODULES);
const S3 = load("@aws-sdk/client-s3");
const SQS = load("@aws-sdk/client-sqs");
const SNS = load("@aws-sdk/client-sns");
const { Upload } = load("@aws-sdk/lib-storage");
const { getSignedUrl } = load("@aws-sdk/s3-request-presigner");

const sum = (bytes) => createHash("sha256").update(bytes).digest("hex");
const Bucket = `javascript-${process.env.AWS_ACCESS_KEY_ID}`;

async function objects(s3) {
  await s3.send(new S3.CreateBucketCommand({ Bucket }));
  const Key = "menu/caffè + 100%.txt";
  const put = await s3.send(new S3.PutObjectCommand({ Bucket, Key, Body: "espresso", Metadata: { kind: "drink" } }));
  assert.ok(put.ChecksumCRC32, "the SDK sends a CRC32 by itself");
  const got = await s3.send(new S3.GetObjectCommand({ Bucket, Key }));
  assert.equal(await got.Body.transformToString(), "espresso");
  assert.equal(got.Metadata.kind, "drink");
  const part = await s3.send(new S3.GetObjectCommand({ Bucket, Key, Range: "bytes=2-4" }));
  assert.equal(await part.Body.transformToString(), "pre");
  await assert.rejects(s3.send(new S3.GetObjectCommand({ Bucket, Key: "none" })), S3.NoSuchKey);
  await assert.rejects(
    s3.send(new S3.PutObjectCommand({ Bucket, Key, Body: "x", IfNoneMatch: "*" })),
    { name: "PreconditionFailed" },
  );
  const sha = await s3.send(new S3.PutObjectCommand({ Bucket, Key: "sha", Body: "x", ChecksumAlgorithm: "SHA256" }));
  assert.equal(sha.ChecksumSHA256, createHash("sha256").update("x").digest("base64"));
}

async function uploads(s3) {
  const whole = randomBytes(13 * 1024 * 1024);
  // A stream of unknown length: parts of 5 MiB, each with a checksum in its trailer.
  const Body = Readable.from((function* () {
    for (let at = 0; at < whole.length; at += 100_000) yield whole.subarray(at, at + 100_000);
  })());
  const upload = new Upload({ client: s3, params: { Bucket, Key: "large", Body }, queueSize: 3 });
  let seen = 0;
  upload.on("httpUploadProgress", () => { seen += 1; });
  const done = await upload.done();
  assert.match(done.ETag, /-3"$/);
  assert.equal(seen, 3);
  const back = await s3.send(new S3.GetObjectCommand({ Bucket, Key: "large" }));
  assert.equal(sum(await back.Body.transformToByteArray()), sum(whole));
  const small = new Upload({ client: s3, params: { Bucket, Key: "small", Body: "tea" } });
  await small.done();
  await s3.send(new S3.CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/large` }));
}

async function presigned(s3) {
  const put = await getSignedUrl(s3, new S3.PutObjectCommand({ Bucket, Key: "signed" }), { expiresIn: 60 });
  assert.equal((await fetch(put, { method: "PUT", body: "by hand" })).status, 200);
  const get = await getSignedUrl(s3, new S3.GetObjectCommand({ Bucket, Key: "signed" }), { expiresIn: 60 });
  assert.equal(await (await fetch(get)).text(), "by hand");
  const forged = await fetch(get.replace("/signed?", "/large?"));
  assert.equal(forged.status, 403);
  assert.match(await forged.text(), /<Code>SignatureDoesNotMatch<\/Code>/);
}

async function listings(s3) {
  const keys = [];
  for await (const page of S3.paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket })) {
    keys.push(...page.Contents.map((entry) => entry.Key));
  }
  assert.deepEqual(keys, ["copy", "large", "menu/caffè + 100%.txt", "sha", "signed", "small"]);
  const Delete = { Objects: keys.map((Key) => ({ Key })) };
  const gone = await s3.send(new S3.DeleteObjectsCommand({ Bucket, Delete }));
  assert.equal(gone.Deleted.length, keys.length);
  await s3.send(new S3.DeleteBucketCommand({ Bucket }));
}

async function messages(sqs, sns) {
  const { QueueUrl } = await sqs.send(new SQS.CreateQueueCommand({ QueueName: "javascript" }));
  await sqs.send(new SQS.SendMessageCommand({
    QueueUrl, MessageBody: "mocha ☕", MessageAttributes: { size: { DataType: "Number", StringValue: "2" } },
  }));
  // The SDK compares MD5s of bodies and attributes by itself.
  const { Messages: [first] } = await sqs.send(new SQS.ReceiveMessageCommand({
    QueueUrl, WaitTimeSeconds: 2, MessageAttributeNames: ["All"],
  }));
  assert.equal(first.Body, "mocha ☕");
  assert.equal(first.MessageAttributes.size.StringValue, "2");
  await sqs.send(new SQS.DeleteMessageCommand({ QueueUrl, ReceiptHandle: first.ReceiptHandle }));
  await assert.rejects(
    sqs.send(new SQS.GetQueueUrlCommand({ QueueName: "none" })), SQS.QueueDoesNotExist);

  const { Attributes: { QueueArn } } = await sqs.send(new SQS.GetQueueAttributesCommand({
    QueueUrl, AttributeNames: ["QueueArn"],
  }));
  const { TopicArn } = await sns.send(new SNS.CreateTopicCommand({ Name: "javascript" }));
  await sqs.send(new SQS.SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy: JSON.stringify({
    Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { Service: "sns.amazonaws.com" },
      Action: "sqs:SendMessage", Resource: QueueArn, Condition: { ArnEquals: { "aws:SourceArn": TopicArn } } }],
  }) } }));
  await sns.send(new SNS.SubscribeCommand({ TopicArn, Protocol: "sqs", Endpoint: QueueArn }));
  const { MessageId } = await sns.send(new SNS.PublishCommand({ TopicArn, Message: "ready" }));
  const { Messages: [told] } = await sqs.send(new SQS.ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 5 }));
  assert.equal(JSON.parse(told.Body).Message, "ready");
  assert.equal(JSON.parse(told.Body).MessageId, MessageId);
  await sns.send(new SNS.DeleteTopicCommand({ TopicArn }));
  await sqs.send(new SQS.DeleteQueueCommand({ QueueUrl }));
}

const s3 = new S3.S3Client({ forcePathStyle: true });
await objects(s3);
await uploads(s3);
await presigned(s3);
await listings(s3);
await messages(new SQS.SQSClient({}), new SNS.SNSClient({}));
console.log("done");
