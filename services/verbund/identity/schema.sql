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
    -- Where people who sign on to it come back to, and whether PKCE alone proves who asked.
    redirect_uris text[] DEFAULT '{}' NOT NULL CONSTRAINT systems_redirect_uris CHECK (cardinality(redirect_uris) <= 16),
    post_logout_redirect_uris text[] DEFAULT '{}' NOT NULL
        CONSTRAINT systems_post_logout_redirect_uris CHECK (cardinality(post_logout_redirect_uris) <= 16),
    public_client boolean DEFAULT false NOT NULL,
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

-- The OpenID providers that organisations trust with the sign-in of their people.
CREATE TABLE providers (
    name text COLLATE "C" CONSTRAINT providers_pkey PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL CONSTRAINT providers_organisation REFERENCES organisations (name),
    title text NOT NULL CONSTRAINT providers_title CHECK (char_length(title) BETWEEN 1 AND 200),
    issuer text COLLATE "C" NOT NULL CONSTRAINT providers_issuer CHECK (issuer LIKE 'https://%' AND char_length(issuer) <= 255),
    audience text COLLATE "C" NOT NULL CONSTRAINT providers_audience CHECK (char_length(audience) BETWEEN 1 AND 255),
    -- What becomes of the claims of its tokens, and which they must have.
    mapping jsonb NOT NULL,
    state text NOT NULL CONSTRAINT providers_state CHECK (state IN ('draft', 'active', 'suspended')),
    revision bigint NOT NULL,
    suspend_time timestamptz,
    resume_time timestamptz,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    -- Of the addresses that people type to find where they sign in.
    email_domains text[] COLLATE "C" DEFAULT '{}' NOT NULL CONSTRAINT providers_email_domains CHECK (cardinality(email_domains) <= 20),
    CONSTRAINT providers_suspended CHECK (state <> 'suspended' OR suspend_time IS NOT NULL),
    CONSTRAINT providers_name CHECK (starts_with(name, organisation || '/providers/'))
);
CREATE INDEX providers_organisation_name ON providers (organisation, name);
CREATE INDEX providers_state_time ON providers (greatest(suspend_time, resume_time)) WHERE suspend_time IS NOT NULL;
-- A token leads to one organisation.
CREATE UNIQUE INDEX providers_trusted ON providers (issuer, audience) WHERE state = 'active';
-- A domain leads to the active providers of one organisation: see email_domain_taken.
CREATE INDEX providers_of_email_domain ON providers USING gin (email_domains) WHERE state = 'active';

-- Whether another organisation's active provider has one of these domains. Who asks holds the one lock on domains until the transaction ends,
-- so that of two that want the same domain at once, the second finds the first one's.
CREATE FUNCTION email_domain_taken(wanted text[], asking text)
RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER
BEGIN ATOMIC
    SELECT pg_advisory_xact_lock(hashtextextended('identity.providers.email_domains', 0));
    SELECT EXISTS (
        SELECT FROM providers p WHERE p.state = 'active' AND p.organisation <> asking AND p.email_domains && wanted
    );
END;
REVOKE EXECUTE ON FUNCTION email_domain_taken FROM PUBLIC;
GRANT EXECUTE ON FUNCTION email_domain_taken TO identity_service;

-- Who is behind the pseudonyms: the one place with personal data, and the row that an erasure deletes.
CREATE TABLE people (
    name text COLLATE "C" CONSTRAINT people_pkey PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL CONSTRAINT people_provider REFERENCES providers (name),
    home_subject text COLLATE "C" NOT NULL CONSTRAINT people_home_subject CHECK (char_length(home_subject) BETWEEN 1 AND 255),
    display_name text NOT NULL CONSTRAINT people_display_name CHECK (char_length(display_name) <= 200),
    email text NOT NULL CONSTRAINT people_email CHECK (char_length(email) <= 254),
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    CONSTRAINT people_home UNIQUE (provider, home_subject),
    CONSTRAINT people_name CHECK (starts_with(name, organisation || '/people/'))
);
CREATE INDEX people_organisation_name ON people (organisation, name);

-- The pseudonyms of people who were erased, until their last token has expired.
CREATE TABLE revoked_subjects (
    subject text COLLATE "C" CONSTRAINT revoked_subjects_pkey PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    expire_time timestamptz NOT NULL
);
CREATE INDEX revoked_subjects_expire_time ON revoked_subjects (expire_time);

-- Everything that a person's token depends on, in one round trip and one snapshot. Whose token it is stands in the token only, so this looks
-- across organisations: through one door, for one issuer, audience and subject.
CREATE FUNCTION sign_in(wanted_issuer text, wanted_audience text, wanted_subject text)
RETURNS TABLE (
    provider text, organisation text, mapping jsonb, resume_time timestamptz, signing_kid text, person text, display_name text, email text
)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
BEGIN ATOMIC
    SELECT p.name, p.organisation, p.mapping, greatest(p.resume_time, o.resume_time),
        (SELECT k.kid FROM signing_keys k WHERE k.state = 'signing'), e.name, e.display_name, e.email
    FROM providers p
    JOIN organisations o ON o.name = p.organisation
    LEFT JOIN people e ON e.provider = p.name AND e.home_subject = wanted_subject
    WHERE p.issuer = wanted_issuer AND p.audience = wanted_audience AND p.state = 'active' AND o.state = 'active';
END;
REVOKE EXECUTE ON FUNCTION sign_in FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sign_in TO identity_service;

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
CREATE POLICY sign_in ON organisations FOR SELECT TO identity_owner USING (true);

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

ALTER TABLE providers ENABLE ROW LEVEL SECURITY;
ALTER TABLE providers FORCE ROW LEVEL SECURITY;
CREATE POLICY service ON providers TO identity_service USING (
    organisation = current_setting('verbund.organisation', true)
    OR current_setting('verbund.operator', true) = 'true'
);
CREATE POLICY jobs ON providers FOR SELECT TO identity_jobs USING (true);
CREATE POLICY sign_in ON providers FOR SELECT TO identity_owner USING (true);

-- Whoever runs the mesh does not see who people are.
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
ALTER TABLE people FORCE ROW LEVEL SECURITY;
CREATE POLICY service ON people TO identity_service USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY sign_in ON people FOR SELECT TO identity_owner USING (true);

ALTER TABLE revoked_subjects ENABLE ROW LEVEL SECURITY;
ALTER TABLE revoked_subjects FORCE ROW LEVEL SECURITY;
CREATE POLICY service ON revoked_subjects TO identity_service
    USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY jobs ON revoked_subjects TO identity_jobs USING (true);

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
GRANT SELECT, INSERT, UPDATE ON providers TO identity_service;
GRANT SELECT, INSERT, DELETE, UPDATE (display_name, email, update_time) ON people TO identity_service;
GRANT SELECT, INSERT ON revoked_subjects TO identity_service;
GRANT SELECT ON providers TO identity_jobs;
GRANT SELECT, DELETE ON revoked_subjects TO identity_jobs;

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

-- The same as sign_on_choices, of one e-mail domain.
CREATE FUNCTION sign_on_choices_of(email_domain text)
RETURNS TABLE (provider text, organisation text, title text, provider_title text, issuer text, audience text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1
BEGIN ATOMIC
    SELECT p.name, p.organisation, o.title, p.title, p.issuer, p.audience
    FROM providers p JOIN organisations o ON o.name = p.organisation
    WHERE p.state = 'active' AND o.state = 'active' AND p.email_domains @> ARRAY[email_domain]
    ORDER BY p.title, p.name LIMIT 20;
END;
REVOKE EXECUTE ON FUNCTION sign_on_choices_of FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sign_on_choices_of TO identity_service;

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
