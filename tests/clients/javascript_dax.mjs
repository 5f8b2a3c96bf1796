// Amazon's client of DAX for JavaScript. Each check throws, and the last line says "done".
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const load = createRequire(process.env.DOPPIO_TEST_MODULES);
const { DaxDocument } = load("@amazon-dax-sdk/lib-dax");
const TableName = process.env.DAX_TABLE;
const Key = { id: "mocha", at: 1.5 };

async function items(dax) {
  assert.equal((await dax.get({ TableName, Key })).Item, undefined);
  const Item = { ...Key, n: -3, list: ["a", { deep: true }], none: null, of: new Set(["x", "y"]) };
  await dax.put({ TableName, Item });
  assert.deepEqual((await dax.get({ TableName, Key })).Item, Item);
  assert.deepEqual((await dax.get({ TableName, Key, ConsistentRead: true })).Item, Item);
  const some = await dax.get({ TableName, Key, ProjectionExpression: "n, #l[1].deep", ExpressionAttributeNames: { "#l": "list" } });
  assert.deepEqual(some.Item, { n: -3, list: [{ deep: true }] });
  const changed = await dax.update({
    TableName, Key, UpdateExpression: "SET n = n + :one REMOVE none", ReturnValues: "UPDATED_NEW",
    ExpressionAttributeValues: { ":one": 1 },
  });
  assert.deepEqual(changed.Attributes, { n: -2 });
  await assert.rejects(
    dax.put({ TableName, Item, ConditionExpression: "attribute_not_exists(id)" }),
    /ConditionalCheckFailed/,
  );
  const gone = await dax.delete({ TableName, Key, ReturnValues: "ALL_OLD" });
  assert.equal(gone.Attributes.n, -2);
}

async function many(dax) {
  const keys = [...Array(10).keys()].map((at) => ({ id: "many", at }));
  await dax.batchWrite({ RequestItems: { [TableName]: keys.map((key) => ({ PutRequest: { Item: { ...key, n: key.at } } })) } });
  const found = await dax.batchGet({ RequestItems: { [TableName]: { Keys: keys } } });
  assert.equal(found.Responses[TableName].length, 10);
  const page = await dax.query({
    TableName, KeyConditionExpression: "id = :id AND #a < :five", FilterExpression: "n <> :two",
    ExpressionAttributeNames: { "#a": "at" }, ExpressionAttributeValues: { ":id": "many", ":five": 5, ":two": 2 },
  });
  assert.deepEqual(page.Items.map((one) => one.n), [0, 1, 3, 4]);
  let seen = 0, ExclusiveStartKey;
  do {
    const part = await dax.scan({ TableName, Limit: 3, ExclusiveStartKey });
    seen += part.Items.length;
    ExclusiveStartKey = part.LastEvaluatedKey;
  } while (ExclusiveStartKey);
  assert.ok(seen >= 10);
}

async function transactions(dax) {
  await dax.transactWrite({ TransactItems: [
    { Put: { TableName, Item: { ...Key, v: 1 } } },
    { Update: { TableName, Key: { id: "other", at: 0 }, UpdateExpression: "SET v = :v", ExpressionAttributeValues: { ":v": 2 } } },
  ] });
  const got = await dax.transactGet({ TransactItems: [{ Get: { TableName, Key } }, { Get: { TableName, Key: { id: "none", at: 0 } } }] });
  assert.equal(got.Responses[0].Item.v, 1);
  await assert.rejects(dax.transactWrite({ TransactItems: [
    { ConditionCheck: { TableName, Key, ConditionExpression: "attribute_not_exists(id)" } },
  ] }), /TransactionCanceled|cancelled/);
}

const dax = new DaxDocument({ endpoints: [process.env.DAX_URL], region: "us-east-1" });
await items(dax);
await many(dax);
await transactions(dax);
console.log("done");
process.exit(0);
