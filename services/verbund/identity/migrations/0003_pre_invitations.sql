-- Invitations: how organisations join. Neither the organisation nor the system of one exists before it is admitted.
CREATE TABLE invitations (
    name text COLLATE "C" CONSTRAINT invitations_pkey PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    organisation_title text NOT NULL
        CONSTRAINT invitations_organisation_title CHECK (char_length(organisation_title) BETWEEN 1 AND 200),
    system text COLLATE "C" NOT NULL,
    system_title text NOT NULL CONSTRAINT invitations_system_title CHECK (char_length(system_title) BETWEEN 1 AND 200),
    roles text[] NOT NULL CONSTRAINT invitations_roles CHECK (cardinality(roles) BETWEEN 1 AND 7 AND NOT 'operator' = ANY (roles)),
    -- The SHA-256 of the code, which is kept nowhere.
    code_digest bytea NOT NULL CONSTRAINT invitations_code_digest CHECK (octet_length(code_digest) = 32),
    -- How many wrong codes were tried.
    misses smallint NOT NULL CONSTRAINT invitations_misses CHECK (misses BETWEEN 0 AND 10),
    -- An invitation that is not admitted when its time passes has expired, whatever stands here.
    state text NOT NULL CONSTRAINT invitations_state CHECK (state IN ('invited', 'accepted', 'admitted', 'withdrawn')),
    confirmed_title text CONSTRAINT invitations_confirmed_title CHECK (char_length(confirmed_title) BETWEEN 1 AND 200),
    kid text COLLATE "C",
    jwk text,
    accept_time timestamptz,
    creator text NOT NULL,
    revision bigint NOT NULL,
    expire_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    CONSTRAINT invitations_system CHECK (starts_with(system, organisation || '/systems/')),
    CONSTRAINT invitations_accepted CHECK (num_nulls(confirmed_title, kid, jwk, accept_time) IN (0, 4)),
    CONSTRAINT invitations_admitted CHECK (state NOT IN ('accepted', 'admitted') OR kid IS NOT NULL)
);
-- Two that are admitted at the same time do not bring the same key.
CREATE UNIQUE INDEX invitations_key ON invitations (kid) WHERE state = 'admitted';
CREATE INDEX invitations_forget_time ON invitations (greatest(expire_time, update_time));

-- Operators see invitations, and nobody else. Who accepts acts for one invitation: verbund.organisation is its name, which no organisation has.
ALTER TABLE invitations ENABLE ROW LEVEL SECURITY;
ALTER TABLE invitations FORCE ROW LEVEL SECURITY;
CREATE POLICY operator ON invitations TO identity_service USING (current_setting('verbund.operator', true) = 'true');
CREATE POLICY accepting_reads ON invitations FOR SELECT TO identity_service
    USING (name = current_setting('verbund.organisation', true));
CREATE POLICY accepting_updates ON invitations FOR UPDATE TO identity_service
    USING (name = current_setting('verbund.organisation', true))
    WITH CHECK (name = current_setting('verbund.organisation', true) AND state <> 'admitted');
CREATE POLICY jobs ON invitations TO identity_jobs USING (true);

-- What was offered, to whom, by whom and for which code is never changed.
GRANT SELECT, INSERT ON invitations TO identity_service;
GRANT UPDATE (misses, state, confirmed_title, kid, jwk, accept_time, revision, expire_time, update_time) ON invitations
    TO identity_service;
GRANT SELECT, DELETE ON invitations TO identity_jobs;

-- Whether a system of whatever organisation has a key: who accepts sees no system, and must not bring another's key.
CREATE INDEX systems_keys ON systems USING gin (keys jsonb_path_ops);
CREATE POLICY owner_looks_for_keys ON systems FOR SELECT TO identity_owner USING (true);
CREATE FUNCTION key_in_use(kid text) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = identity, pg_temp
    AS 'SELECT EXISTS (SELECT FROM identity.systems WHERE keys @> jsonb_build_array(jsonb_build_object(''kid'', $1)))';
REVOKE ALL ON FUNCTION key_in_use(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION key_in_use(text) TO identity_service;
