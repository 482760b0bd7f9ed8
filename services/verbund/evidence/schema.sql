-- Intents: leaves that are owed to the log. Services commit them with their own changes, through evidence.intend alone.
CREATE TABLE intents (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Which transaction it came with: the sequencer seals below the oldest running one, so that no late commit precedes a leaf.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    -- The leaf's bytes as evidence/v1/leaf.proto settles them.
    leaf bytea NOT NULL CHECK (octet_length(leaf) BETWEEN 1 AND 4096),
    -- With it, those who know a name can show that the leaf means it. Never published.
    salt bytea NOT NULL CHECK (octet_length(salt) = 16),
    trace_id text NOT NULL CHECK (octet_length(trace_id) <= 32),
    create_time timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Nobody but the owner's function writes, and nobody but the jobs role reads.
ALTER TABLE intents ENABLE ROW LEVEL SECURITY;
ALTER TABLE intents FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_appends ON intents FOR INSERT TO evidence_owner WITH CHECK (true);
CREATE POLICY jobs_read ON intents FOR SELECT TO evidence_jobs USING (true);
GRANT SELECT ON intents TO evidence_jobs;

CREATE FUNCTION intend(leaf bytea, salt bytea, trace_id text) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = evidence, pg_temp
    AS 'INSERT INTO evidence.intents (leaf, salt, trace_id) VALUES ($1, $2, $3)';
REVOKE ALL ON FUNCTION intend(bytea, bytea, text) FROM PUBLIC;
