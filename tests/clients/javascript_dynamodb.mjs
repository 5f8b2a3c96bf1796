// DynamoDB's document client of the AWS SDK for JavaScript v3. Each check throws, and the last line says "done".
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const load = createRequire(process.env.DOPPIO_TEST_MODULES);
const DB = load("@aws-sdk/client-dynamodb");
const Doc = load("@aws-sdk/lib-dynamodb");

const raw = new DB.DynamoDBClient({});
const doc = Doc.DynamoDBDocumentClient.from(raw, { marshallOptions: { removeUndefinedValues: true } });
const TableName = "songs";

async function table() {
  await raw.send(new DB.CreateTableCommand({
    TableName, BillingMode: "PAY_PER_REQUEST",
    KeySchema: [{ AttributeName: "artist", KeyType: "HASH" }, { AttributeName: "n", KeyType: "RANGE" }],
    AttributeDefinitions: [
      { AttributeName: "artist", AttributeType: "S" }, { AttributeName: "n", AttributeType: "N" },
      { AttributeName: "year", AttributeType: "N" },
    ],
    GlobalSecondaryIndexes: [{ IndexName: "by-year", Projection: { ProjectionType: "ALL" },
      KeySchema: [{ AttributeName: "year", KeyType: "HASH" }, { AttributeName: "n", KeyType: "RANGE" }] }],
  }));
  const found = await DB.waitUntilTableExists({ client: raw, maxWaitTime: 60, minDelay: 1 }, { TableName });
  assert.equal(found.state, "SUCCESS");
}

async function documents() {
  const Item = {
    artist: "Acme", n: 1, year: 1999, rate: 4.25, loud: true, none: null, tags: new Set(["a", "b"]),
    raw: new Uint8Array([0, 255]), list: [1, "x", { deep: [true] }], missing: undefined,
  };
  await doc.send(new Doc.PutCommand({ TableName, Item }));
  const got = await doc.send(new Doc.GetCommand({ TableName, Key: { artist: "Acme", n: 1 } }));
  delete Item.missing;
  assert.deepEqual({ ...got.Item, raw: [...got.Item.raw] }, { ...Item, raw: [0, 255] });
  const updated = await doc.send(new Doc.UpdateCommand({
    TableName, Key: { artist: "Acme", n: 1 }, ReturnValues: "UPDATED_NEW",
    UpdateExpression: "SET rate = rate + :x, #l[0] = :y ADD tags :t",
    ExpressionAttributeNames: { "#l": "list" },
    ExpressionAttributeValues: { ":x": 1, ":y": "one", ":t": new Set(["c"]) },
  }));
  assert.equal(updated.Attributes.rate, 5.25);
  await assert.rejects(
    doc.send(new Doc.PutCommand({ TableName, Item: { artist: "Acme", n: 1 },
      ConditionExpression: "attribute_not_exists(artist)", ReturnValuesOnConditionCheckFailure: "ALL_OLD" })),
    (error) => error instanceof DB.ConditionalCheckFailedException && error.Item.year.N === "1999",
  );
}

async function many() {
  const requests = [];
  for (let n = 2; n <= 26; n += 1) requests.push({ PutRequest: { Item: { artist: "Acme", n, year: n % 2 } } });
  const written = await doc.send(new Doc.BatchWriteCommand({ RequestItems: { [TableName]: requests } }));
  assert.deepEqual(written.UnprocessedItems, {});
  const seen = [];
  const pages = Doc.paginateQuery({ client: doc, pageSize: 7 }, {
    TableName, KeyConditionExpression: "artist = :a AND n BETWEEN :lo AND :hi", ScanIndexForward: false,
    ExpressionAttributeValues: { ":a": "Acme", ":lo": 3, ":hi": 20 },
  });
  for await (const page of pages) seen.push(...page.Items.map((one) => one.n));
  assert.deepEqual(seen, Array.from({ length: 18 }, (_, i) => 20 - i));
  const odd = await doc.send(new Doc.QueryCommand({
    TableName, IndexName: "by-year", KeyConditionExpression: "#y = :y", Select: "COUNT",
    ExpressionAttributeNames: { "#y": "year" }, ExpressionAttributeValues: { ":y": 1 },
  }));
  assert.equal(odd.Count, 12);
  const batch = await doc.send(new Doc.BatchGetCommand({
    RequestItems: { [TableName]: { Keys: [{ artist: "Acme", n: 2 }, { artist: "none", n: 0 }] } },
  }));
  assert.deepEqual(batch.Responses[TableName], [{ artist: "Acme", n: 2, year: 0 }]);
}

async function transactions() {
  const Key = { artist: "Acme", n: 2 };
  await doc.send(new Doc.TransactWriteCommand({ TransactItems: [
    { Update: { TableName, Key, UpdateExpression: "SET sold = :n", ExpressionAttributeValues: { ":n": 7 } } },
    { Delete: { TableName, Key: { artist: "Acme", n: 3 } } },
  ] }));
  await assert.rejects(
    doc.send(new Doc.TransactWriteCommand({ TransactItems: [
      { Put: { TableName, Item: { artist: "Acme", n: 3 } } },
      { ConditionCheck: { TableName, Key, ConditionExpression: "sold > :n", ExpressionAttributeValues: { ":n": 7 } } },
    ] })),
    (error) => error instanceof DB.TransactionCanceledException
      && error.CancellationReasons.map((one) => one.Code).join() === "None,ConditionalCheckFailed",
  );
  const read = await doc.send(new Doc.TransactGetCommand({ TransactItems: [
    { Get: { TableName, Key } }, { Get: { TableName, Key: { artist: "Acme", n: 3 } } },
  ] }));
  assert.deepEqual(read.Responses.map((one) => one.Item?.sold), [7, undefined]);
}

async function statements() {
  await doc.send(new Doc.ExecuteStatementCommand({
    Statement: `INSERT INTO ${TableName} VALUE {'artist': ?, 'n': ?, 'm': ?}`, Parameters: ["Brew", 1, { deep: [1] }],
  }));
  await assert.rejects(
    doc.send(new Doc.ExecuteStatementCommand({
      Statement: `INSERT INTO ${TableName} VALUE {'artist': 'Brew', 'n': 1}` })),
    DB.DuplicateItemException,
  );
  const seen = [];
  let NextToken;
  do {
    const page = await doc.send(new Doc.ExecuteStatementCommand({
      Statement: `SELECT n FROM ${TableName} WHERE artist IN (?, ?) AND n < 6`, Parameters: ["Acme", "Brew"],
      Limit: 2, NextToken,
    }));
    seen.push(...page.Items.map((one) => one.n));
    NextToken = page.NextToken;
  } while (NextToken);
  assert.deepEqual(seen, [1, 2, 4, 5, 1]);
  const batch = await doc.send(new Doc.BatchExecuteStatementCommand({ Statements: [
    { Statement: `SELECT m FROM ${TableName} WHERE artist = 'Brew' AND n = 1` },
    { Statement: `SELECT * FROM ${TableName}` },
  ] }));
  assert.deepEqual(batch.Responses[0].Item, { m: { deep: [1] } });
  assert.equal(batch.Responses[1].Error.Code, "ValidationError");
  await doc.send(new Doc.ExecuteTransactionCommand({ TransactStatements: [
    { Statement: `UPDATE ${TableName} SET m = 2 WHERE artist = 'Brew' AND n = 1` },
    { Statement: `EXISTS(SELECT * FROM ${TableName} WHERE artist = 'Acme' AND n = 2 AND sold = 7)` },
  ] }));
}

await table();
await documents();
await many();
await transactions();
await statements();
console.log("done");
