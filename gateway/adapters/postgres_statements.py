"""The statements of ``postgres_cloud``; the tables are in schema/postgres_cloud_v1.sql."""

SPACES = """
INSERT INTO space (name) SELECT name FROM unnest(%s::text[]) AS name
WHERE name COLLATE "C" NOT IN (SELECT name FROM space WHERE name = ANY (%s)) ORDER BY name
ON CONFLICT DO NOTHING
"""
# Which slot of the figures a worker uses: workers seldom share one.
SLOT = "mod(pg_backend_pid(), 8)"
COUNT = f"""
INSERT INTO figure AS f (space, slot, documents, size, gateways)
SELECT space, {SLOT}, documents, size, gateways FROM counted ORDER BY space
ON CONFLICT (space, slot) DO UPDATE SET documents = f.documents + EXCLUDED.documents,
    size = f.size + EXCLUDED.size, gateways = f.gateways + EXCLUDED.gateways
"""
# The planner expects ten changes; the joins are by hashing then, which thousands bear too.
# A document that has as many versions as changes came is new.
APPEND = f"""
WITH given AS MATERIALIZED (
    SELECT (SELECT id FROM space WHERE space.name = g.space) AS space, name, peer, bytes, place
    FROM unnest(%s::text[], %s::text[], %s::text[], %b::bytea[])
        WITH ORDINALITY AS g (space, name, peer, bytes, place)
), grown AS MATERIALIZED (
    SELECT space, name COLLATE "C" AS name, count(*) AS changes, sum(length(bytes))::bigint AS size
    FROM given GROUP BY 1, 2
), touched AS (
    INSERT INTO document AS d (space, name, version, size, changed)
    SELECT space, name, changes, size,
        (SELECT ahead FROM meta) + pg_current_xact_id()::text::bigint
    FROM grown ORDER BY space, name
    ON CONFLICT (space, name) DO UPDATE SET version = d.version + EXCLUDED.version,
        size = d.size + EXCLUDED.size, changed = EXCLUDED.changed, fingerprint = ''
    RETURNING space, name, id, version
), written AS (
    INSERT INTO change (space, document, version, peer, bytes)
    SELECT given.space, id, version - changes + row_number() OVER in_order, peer, bytes
    FROM given JOIN grown USING (space, name) JOIN touched USING (space, name)
    WINDOW in_order AS (PARTITION BY id ORDER BY place)
), counted AS (
    SELECT space, count(*) FILTER (WHERE version = changes) AS documents, sum(size)::bigint AS size,
        0 AS gateways
    FROM grown JOIN touched USING (space, name) GROUP BY space
)
{COUNT}
"""
REFUSE = """
INSERT INTO refusal (digest, space, document, peer, code, reason, bytes)
VALUES (%s, %s, %s, %s, %s, %s, %b) ON CONFLICT DO NOTHING
"""
# One worker at a time, so that none waits for another; who comes next trims for both.
TRIM = """
DELETE FROM refusal WHERE (SELECT pg_try_advisory_xact_lock(%s)) AND id <= (
    SELECT max(id) FROM (
        SELECT id, row_number() OVER newest AS place, sum(length(bytes)) OVER newest AS size
        FROM refusal WINDOW newest AS (ORDER BY id DESC)
    ) AS sized WHERE place > %s OR size > %s
)
"""
LOAD = """
SELECT c.version = d.snapshot, c.bytes
FROM space s JOIN document d ON d.space = s.id
JOIN change c ON c.space = d.space AND c.document = d.id
WHERE s.name = %s AND d.name = %s ORDER BY c.version
"""
LOCK = """
SELECT FROM space s JOIN document d ON d.space = s.id
WHERE s.name = %s AND d.name = %s FOR UPDATE OF d
"""
# After LOCK nobody else writes to the document, and this sees all that was written.
COMPACT = f"""
WITH old AS MATERIALIZED (
    SELECT d.* FROM space s JOIN document d ON d.space = s.id
    WHERE s.name = %(space)s AND d.name = %(name)s
        AND snapshot < %(version)s AND version >= %(version)s
), kept AS MATERIALIZED (
    SELECT octet_length(%(bytes)b::bytea) + coalesce(sum(length(c.bytes)), 0)::bigint AS size
    FROM old JOIN change c ON c.space = old.space AND document = id AND c.version > %(version)s
), gone AS (
    DELETE FROM change c USING old
    WHERE c.space = old.space AND document = id AND c.version < %(version)s
), put AS (
    UPDATE change c SET peer = '', bytes = %(bytes)b FROM old
    WHERE c.space = old.space AND document = id AND c.version = %(version)s
), noted AS (
    UPDATE document d SET snapshot = %(version)s, size = kept.size FROM old, kept
    WHERE d.space = old.space AND d.name = old.name
), counted AS (
    SELECT space, 0 AS documents, kept.size - old.size AS size, 0 AS gateways FROM old, kept
)
{COUNT}
"""
# That a fingerprint is lost costs finding it out once more.
SOON = "SELECT set_config('synchronous_commit', 'off', true)"
SETTLE = """
UPDATE document d SET fingerprint = %b FROM space s
WHERE d.space = s.id AND s.name = %s AND d.name = %s AND version = %s
"""
HELD = "name, version, fingerprint, size, version - snapshot"
# Not by a join: so the index gives documents in their order, and a page reads no more than a page.
OF_SPACE = "d.space = (SELECT id FROM space WHERE space.name = %s)"
SPACE_NAME = "(SELECT space.name FROM space WHERE space.id = d.space)"
# The names of a collection, by the index of names: "0" follows "/".
OF_COLLECTION = "d.name >= {0} || '/' AND d.name < {0} || '0'"
# OFFSET 0: each collection by the index, instead of all documents of the space by each collection.
HELD_OF = f"""
SELECT found.* FROM unnest(%s::text[]) AS collection CROSS JOIN LATERAL (
    SELECT {HELD} FROM document d WHERE {OF_SPACE} AND {OF_COLLECTION.format("collection")} OFFSET 0
) AS found ORDER BY name
"""
HORIZON = "ahead + pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
END = "ahead + pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
GREET = f"""
WITH heard AS (
    INSERT INTO gateway AS g (space, peer, wants, seen)
    SELECT id, %s, coalesce(%s::text[], ARRAY[]::text[]), now() FROM space WHERE name = %s
    ON CONFLICT (space, peer) DO UPDATE SET seen = EXCLUDED.seen, wants = coalesce(%s, g.wants)
    RETURNING space, xmax = 0 AS is_new
), counted AS (
    SELECT space, 0 AS documents, 0 AS size, 1 AS gateways FROM heard WHERE is_new
)
{COUNT}
"""
REVOKE = """
INSERT INTO revocation (space, digest, bytes)
SELECT id, digest, bytes FROM space, unnest(%b::bytea[], %b::bytea[]) AS entry (digest, bytes)
WHERE name = %s ORDER BY digest ON CONFLICT DO NOTHING
"""
REPLACE = """
DELETE FROM revocation WHERE digest = ANY (%b::bytea[])
AND space = (SELECT id FROM space WHERE name = %s)
"""
GATEWAYS = """
SELECT name, peer, wants, extract(epoch FROM seen)::bigint FROM gateway g JOIN space ON id = g.space
"""
FIGURES = "sum(f.documents)::bigint, sum(f.size)::bigint, sum(f.gateways)::bigint"
