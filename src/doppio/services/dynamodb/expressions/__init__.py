"""DynamoDB's expressions: `syntax` reads them, `binding` joins names and values to them.

`conditions` makes tests of items, `updates` changes items, `keys` finds the range of a query,
`paths` walks documents. `legacy` turns the parameters from before expressions into the same.
"""
