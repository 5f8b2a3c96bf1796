"""Amazon S3 Tables: buckets of Iceberg tables, and what keeps them in order.

Reading order: `records` (what is stored), `lookup` (tables by what requests call them),
`permissions`, then the nouns: `buckets`, `namespaces`, `tables`, `locations`.
"""
