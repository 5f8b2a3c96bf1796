"""The SQL of the store on PostgreSQL.

An index row of PostgreSQL holds 2,704 bytes and keys may be longer: `head(k)`, their beginning, is
what is indexed. Whoever looks for a key looks for its beginning first; ties are in the order of
the whole.
"""

from __future__ import annotations

FORMAT = 1

CREATE = """
CREATE FUNCTION head(bytea) RETURNS bytea IMMUTABLE PARALLEL SAFE LANGUAGE sql
  AS 'SELECT substring($1 from 1 for 2000)';
CREATE TABLE kv(k bytea NOT NULL, v bytea NOT NULL, version bigint NOT NULL);
CREATE INDEX kv_head ON kv(head(k));
CREATE TABLE counter(k bytea PRIMARY KEY, total float8 NOT NULL);
CREATE TABLE log(name text, position bigint, entry bytea NOT NULL, PRIMARY KEY (name, position));
CREATE SEQUENCE versions;
CREATE TABLE format(number int NOT NULL);
"""

# Statistics lag behind what is written here. A plan that reads a whole table, or a whole range in
# order to sort it, is never right.
SETTINGS = {
    "synchronous_commit": "on",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "application_name": "doppio",
}

GET = """
SELECT kv.k, kv.v, kv.version FROM unnest($1::bytea[]) AS wanted(k)
JOIN kv ON head(kv.k) = head(wanted.k) AND kv.k = wanted.k
"""

SCAN = """
SELECT k, v, version FROM kv
WHERE head(k) >= head($1) AND head(k) <= head($2) AND k >= $1 AND k < $2
ORDER BY head(k), k LIMIT $3
"""

SCAN_BACK = """
SELECT k, v, version FROM kv
WHERE head(k) >= head($1) AND head(k) <= head($2) AND k >= $1 AND k < $2
ORDER BY head(k) DESC, k DESC LIMIT $3
"""

COUNTERS = "SELECT k, total FROM counter WHERE k >= $1 AND k < $2 ORDER BY k LIMIT $3"

LOG = "SELECT position, entry FROM log WHERE name = $1 AND position > $2 ORDER BY 1 LIMIT $3"

LOG_END = "SELECT max(position) FROM log WHERE name = $1"

TRIM = "DELETE FROM log WHERE name = $1 AND position <= $2"

DROP = "DELETE FROM log WHERE name = $1"

# The group's number and transaction, and which of the rows and ranges read are not as they were:
# a row is known by its key and version, 0 where there was none.
CHECK = """
SELECT nextval('versions') AS number, pg_current_xact_id()::text AS transaction,
ARRAY(
  SELECT seen.place FROM unnest($1::bytea[], $2::bigint[]) WITH ORDINALITY AS seen(k, version, place)
  LEFT JOIN kv ON head(kv.k) = head(seen.k) AND kv.k = seen.k
  WHERE coalesce(kv.version, 0) <> seen.version
) AS rows,
ARRAY(
  SELECT seen.place FROM unnest($3::bytea[], $4::bytea[], $5::int[], $6::text[])
    WITH ORDINALITY AS seen(lo, hi, count, rows, place)
  WHERE seen.rows <> coalesce((
    SELECT string_agg(encode(found.k, 'hex') || ':' || found.version, ',') FROM (
      SELECT k, version FROM kv
      WHERE head(k) >= head(seen.lo) AND head(k) <= head(seen.hi) AND k >= seen.lo AND k < seen.hi
      ORDER BY head(k), k LIMIT seen.count + 1
    ) AS found
  ), '')
) AS ranges
"""

WRITE = """
WITH new AS (SELECT * FROM unnest($2::bytea[], $3::bytea[]) AS new(k, v)),
deleted AS (
  DELETE FROM kv USING unnest($4::bytea[]) AS gone(k)
  WHERE head(kv.k) = head(gone.k) AND kv.k = gone.k
),
changed AS (
  UPDATE kv SET v = new.v, version = $1 FROM new
  WHERE head(kv.k) = head(new.k) AND kv.k = new.k RETURNING kv.k
),
added AS (
  INSERT INTO kv(k, v, version) SELECT k, v, $1 FROM new WHERE k NOT IN (SELECT k FROM changed)
),
counted AS (
  INSERT INTO counter AS old SELECT * FROM unnest($5::bytea[], $6::float8[])
  ON CONFLICT (k) DO UPDATE SET total = old.total + excluded.total
),
logged AS (
  INSERT INTO log SELECT * FROM unnest($7::text[], $8::bigint[], $9::bytea[])
)
SELECT pg_notify($10, topic) FROM unnest($11::text[]) AS topic
"""
