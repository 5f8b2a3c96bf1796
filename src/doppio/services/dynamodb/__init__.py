"""DynamoDB: the key-value database.

Reading order: `records` (a table), `values` and `item_keys` (what an item is, and how it stands in
the store), `expressions` (conditions and updates), then the nouns: `tables`, `items`, `queries`,
`batches`, `transactions`.
"""
