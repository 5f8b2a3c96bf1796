"""S3: buckets of objects, versioned or not, listed in the order of their keys.

Read `records` first: where a version of an object stands says what it is. Then `objects` (put, get,
head, delete), `versions` (how versions push each other down), `bodies` (where bytes go and what is
hashed on the way), `listing` with `walk` (a listing is a range scan), `multipart`, `copies`. What a
bucket is set to is in `configuration`, `policies` and `tagging`; `reclaim` frees what nothing
refers to any more. What differs in `directory` buckets is put right around the operations, and in
`appends` and `renames`. `permissions` says what each operation needs.
"""
