"""PartiQL for DynamoDB: SQL's verbs over tables.

`tokens` and `syntax` read a statement, `values` makes attribute values of its literals and
parameters, `ranges` finds the rows that its keys name, `writes` makes changes of items.
"""
