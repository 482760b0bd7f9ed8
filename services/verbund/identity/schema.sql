-- Organisations. Names are compared byte by byte, so that pages have one order whatever the database's locale.
CREATE TABLE organisations (
    name text COLLATE "C" CONSTRAINT organisations_pkey PRIMARY KEY,
    title text NOT NULL CONSTRAINT organisations_title CHECK (char_length(title) BETWEEN 1 AND 200),
    state text NOT NULL CONSTRAINT organisations_state CHECK (state IN ('active', 'suspended')),
    -- Goes up with every change: the etag is made of it.
    revision bigint NOT NULL,
    -- The latest suspension and the latest end of one. The published revocations are derived from them.
    suspend_time timestamptz,
    resume_time timestamptz,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    CONSTRAINT organisations_suspended CHECK (state = 'active' OR suspend_time IS NOT NULL)
);
CREATE INDEX organisations_state_time ON organisations (greatest(suspend_time, resume_time)) WHERE suspend_time IS NOT NULL;

-- Systems with their public keys: at most eight, always read together, so they lie in the row.
CREATE TABLE systems (
    name text COLLATE "C" CONSTRAINT systems_pkey PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL CONSTRAINT systems_organisation REFERENCES organisations (name),
    title text NOT NULL CONSTRAINT systems_title CHECK (char_length(title) BETWEEN 1 AND 200),
    roles text[] NOT NULL CONSTRAINT systems_roles CHECK (cardinality(roles) BETWEEN 1 AND 8),
    -- [{"kid": thumbprint, "jwk": the public key's JSON as text, "create_time": RFC 3339}], oldest first
    keys jsonb NOT NULL CONSTRAINT systems_keys CHECK (jsonb_array_length(keys) BETWEEN 1 AND 8),
    state text NOT NULL CONSTRAINT systems_state CHECK (state IN ('active', 'suspended')),
    revision bigint NOT NULL,
    suspend_time timestamptz,
    resume_time timestamptz,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    CONSTRAINT systems_suspended CHECK (state = 'active' OR suspend_time IS NOT NULL),
    CONSTRAINT systems_name CHECK (starts_with(name, organisation || '/systems/'))
);
CREATE INDEX systems_organisation_name ON systems (organisation, name);
CREATE INDEX systems_state_time ON systems (greatest(suspend_time, resume_time)) WHERE suspend_time IS NOT NULL;
CREATE INDEX systems_operators ON systems (name) WHERE 'operator' = ANY (roles);

-- Assertions that were used, as the SHA-256 of their jti, until they expire: each is good once.
CREATE TABLE used_assertions (
    system text COLLATE "C" NOT NULL,
    organisation text COLLATE "C" NOT NULL,
    jti_digest bytea NOT NULL,
    expire_time timestamptz NOT NULL,
    CONSTRAINT used_assertions_pkey PRIMARY KEY (system, jti_digest)
);
CREATE INDEX used_assertions_expire_time ON used_assertions (expire_time);

-- Tokens that their own systems revoked (RFC 7009), until they expire.
CREATE TABLE revoked_tokens (
    token_id text COLLATE "C" CONSTRAINT revoked_tokens_pkey PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    expire_time timestamptz NOT NULL
);
CREATE INDEX revoked_tokens_expire_time ON revoked_tokens (expire_time);

-- The keys that sign tokens. At most one waits for its turn and at most one signs; retired ones go when their tokens have expired.
CREATE TABLE signing_keys (
    kid text COLLATE "C" CONSTRAINT signing_keys_pkey PRIMARY KEY,
    -- The public key's JSON.
    jwk text NOT NULL,
    -- The private key's JSON, encrypted (JWE, dir, A256GCM) with the key that lies outside the database.
    sealed_key text NOT NULL,
    state text NOT NULL CONSTRAINT signing_keys_state CHECK (state IN ('published', 'signing', 'retired')),
    create_time timestamptz NOT NULL,
    -- Since when the published file has held it.
    publish_time timestamptz,
    sign_time timestamptz,
    retire_time timestamptz,
    CONSTRAINT signing_keys_times CHECK (
        (state = 'published' AND sign_time IS NULL AND retire_time IS NULL)
        OR (state = 'signing' AND publish_time IS NOT NULL AND sign_time IS NOT NULL AND retire_time IS NULL)
        OR (state = 'retired' AND publish_time IS NOT NULL AND sign_time IS NOT NULL AND retire_time IS NOT NULL)
    )
);
CREATE UNIQUE INDEX signing_keys_one_of_each ON signing_keys (state) WHERE state <> 'retired';

-- Answers to requests with a request_id, for 48 hours.
CREATE TABLE idempotency (
    organisation text NOT NULL,
    caller text NOT NULL,
    method text NOT NULL,
    request_id uuid NOT NULL,
    request_digest bytea NOT NULL,
    answer bytea,
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation, caller, method, request_id)
);
CREATE INDEX idempotency_create_time ON idempotency (create_time);

-- Who sees which rows, whatever a statement says. The doors set verbund.organisation and verbund.operator for every transaction.
ALTER TABLE organisations ENABLE ROW LEVEL SECURITY;
ALTER TABLE organisations FORCE ROW LEVEL SECURITY;
CREATE POLICY service_reads ON organisations FOR SELECT TO identity_service USING (
    state = 'active'
    OR name = current_setting('verbund.organisation', true)
    OR current_setting('verbund.operator', true) = 'true'
);
CREATE POLICY operator_inserts ON organisations FOR INSERT TO identity_service
    WITH CHECK (current_setting('verbund.operator', true) = 'true');
CREATE POLICY service_updates ON organisations FOR UPDATE TO identity_service USING (
    name = current_setting('verbund.organisation', true)
    OR current_setting('verbund.operator', true) = 'true'
);
CREATE POLICY jobs ON organisations TO identity_jobs USING (true);

ALTER TABLE systems ENABLE ROW LEVEL SECURITY;
ALTER TABLE systems FORCE ROW LEVEL SECURITY;
CREATE POLICY service ON systems TO identity_service USING (
    organisation = current_setting('verbund.organisation', true)
    OR current_setting('verbund.operator', true) = 'true'
);
CREATE POLICY jobs ON systems TO identity_jobs USING (true);

ALTER TABLE used_assertions ENABLE ROW LEVEL SECURITY;
ALTER TABLE used_assertions FORCE ROW LEVEL SECURITY;
CREATE POLICY service ON used_assertions TO identity_service
    USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY jobs ON used_assertions TO identity_jobs USING (true);

ALTER TABLE revoked_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE revoked_tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY service ON revoked_tokens TO identity_service
    USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY jobs ON revoked_tokens TO identity_jobs USING (true);

ALTER TABLE idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency FORCE ROW LEVEL SECURITY;
CREATE POLICY service ON idempotency TO identity_service
    USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY jobs ON idempotency TO identity_jobs USING (true);

-- The service sees signing keys and makes none; jobs make, turn and publish them.
GRANT SELECT, INSERT, UPDATE ON organisations, systems, idempotency TO identity_service;
GRANT SELECT, INSERT ON used_assertions, revoked_tokens TO identity_service;
GRANT SELECT ON signing_keys TO identity_service;
GRANT SELECT, INSERT ON organisations, systems TO identity_jobs;
GRANT SELECT, DELETE ON used_assertions, revoked_tokens, idempotency TO identity_jobs;
GRANT SELECT, INSERT, UPDATE, DELETE ON signing_keys TO identity_jobs;
