-- The sign-on of browsers. What a browser is under way with, ten minutes at most. Who asks acts for one browser: verbund.organisation is
-- `browsers/` and the digest of its cookie, which no organisation is called.
CREATE TABLE sign_ons (
    -- The SHA-256 of the key that goes out as `state` or with a form.
    key_digest bytea CONSTRAINT sign_ons_pkey PRIMARY KEY CONSTRAINT sign_ons_key_digest CHECK (octet_length(key_digest) = 32),
    browser text COLLATE "C" NOT NULL,
    -- What the client asked for: see signon/requests.py.
    request jsonb NOT NULL,
    -- Where the person was sent, and what binds the answer to that.
    provider text COLLATE "C",
    nonce text,
    verifier text,
    expire_time timestamptz NOT NULL,
    CONSTRAINT sign_ons_sent CHECK (num_nulls(provider, nonce, verifier) IN (0, 3))
);
CREATE INDEX sign_ons_expire_time ON sign_ons (expire_time);

-- The sessions of people in browsers. An erased person's go with the person.
CREATE TABLE sessions (
    session text COLLATE "C" CONSTRAINT sessions_pkey PRIMARY KEY,
    -- The SHA-256 of the cookie.
    key_digest bytea NOT NULL CONSTRAINT sessions_key UNIQUE CONSTRAINT sessions_key_digest CHECK (octet_length(key_digest) = 32),
    organisation text COLLATE "C" NOT NULL,
    person text COLLATE "C" NOT NULL CONSTRAINT sessions_person REFERENCES people (name) ON DELETE CASCADE,
    provider text COLLATE "C" NOT NULL CONSTRAINT sessions_provider REFERENCES providers (name),
    roles text[] NOT NULL,
    assurance text NOT NULL,
    -- When the person proved at home who they are.
    auth_time timestamptz NOT NULL,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    end_time timestamptz
);
CREATE INDEX sessions_person_name ON sessions (person);
CREATE INDEX sessions_expire_time ON sessions (expire_time);

-- What clients got of a session: a code, and tokens for it. `sid` is what their tokens say; it ends them everywhere.
CREATE TABLE sign_on_grants (
    sid text COLLATE "C" CONSTRAINT sign_on_grants_pkey PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    session text COLLATE "C" NOT NULL CONSTRAINT sign_on_grants_session REFERENCES sessions (session) ON DELETE CASCADE,
    client text COLLATE "C" NOT NULL,
    redirect_uri text NOT NULL,
    challenge text NOT NULL,
    nonce text NOT NULL,
    scope text[] NOT NULL,
    code_digest bytea NOT NULL CONSTRAINT sign_on_grants_code UNIQUE
        CONSTRAINT sign_on_grants_code_digest CHECK (octet_length(code_digest) = 32),
    code_expire_time timestamptz NOT NULL,
    code_use_time timestamptz,
    -- How often the refresh token was changed, and when it was the last time.
    refresh_count integer NOT NULL,
    refresh_time timestamptz,
    create_time timestamptz NOT NULL,
    end_time timestamptz
);
CREATE INDEX sign_on_grants_of_session ON sign_on_grants (session);
CREATE INDEX sign_on_grants_end_time ON sign_on_grants (end_time) WHERE end_time IS NOT NULL;

-- Where people can sign in: who chooses is nobody yet, so this looks across organisations, and tells what the sign-in page shows.
CREATE FUNCTION sign_on_choices()
RETURNS TABLE (provider text, organisation text, title text, provider_title text, issuer text, audience text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 100
BEGIN ATOMIC
    SELECT p.name, p.organisation, o.title, p.title, p.issuer, p.audience
    FROM providers p JOIN organisations o ON o.name = p.organisation
    WHERE p.state = 'active' AND o.state = 'active'
    ORDER BY o.title, p.title, p.name LIMIT 1000;
END;
REVOKE EXECUTE ON FUNCTION sign_on_choices FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sign_on_choices TO identity_service;

ALTER TABLE sign_ons ENABLE ROW LEVEL SECURITY;
ALTER TABLE sign_ons FORCE ROW LEVEL SECURITY;
CREATE POLICY service ON sign_ons TO identity_service USING (browser = current_setting('verbund.organisation', true));
CREATE POLICY jobs ON sign_ons TO identity_jobs USING (true);

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY service ON sessions TO identity_service USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY jobs ON sessions TO identity_jobs USING (true);

ALTER TABLE sign_on_grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE sign_on_grants FORCE ROW LEVEL SECURITY;
CREATE POLICY service ON sign_on_grants TO identity_service
    USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY jobs ON sign_on_grants TO identity_jobs USING (true);

GRANT SELECT, INSERT, DELETE ON sign_ons TO identity_service;
GRANT SELECT, INSERT ON sessions, sign_on_grants TO identity_service;
GRANT UPDATE (key_digest, roles, assurance, auth_time, expire_time, end_time) ON sessions TO identity_service;
GRANT UPDATE (code_use_time, refresh_count, refresh_time, end_time) ON sign_on_grants TO identity_service;
GRANT SELECT, DELETE ON sign_ons, sessions TO identity_jobs;
GRANT SELECT ON sign_on_grants TO identity_jobs;
