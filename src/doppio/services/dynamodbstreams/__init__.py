"""DynamoDB Streams: reading what became of a table's items, in order, for a day.

DynamoDB writes the streams (`services/dynamodb/streams.py`); here they are read. Reading order:
`streams` (which there are), `shards` (iterators and records).
"""
