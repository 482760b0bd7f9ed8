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
    CONSTRAINT providers_suspended CHECK (state <> 'suspended' OR suspend_time IS NOT NULL),
    CONSTRAINT providers_name CHECK (starts_with(name, organisation || '/providers/'))
);
CREATE INDEX providers_organisation_name ON providers (organisation, name);
CREATE INDEX providers_state_time ON providers (greatest(suspend_time, resume_time)) WHERE suspend_time IS NOT NULL;
-- A token leads to one organisation.
CREATE UNIQUE INDEX providers_trusted ON providers (issuer, audience) WHERE state = 'active';

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

CREATE POLICY sign_in ON organisations FOR SELECT TO identity_owner USING (true);

GRANT SELECT, INSERT, UPDATE ON providers TO identity_service;
GRANT SELECT, INSERT, DELETE, UPDATE (display_name, email, update_time) ON people TO identity_service;
GRANT SELECT, INSERT ON revoked_subjects TO identity_service;
GRANT SELECT ON providers TO identity_jobs;
GRANT SELECT, DELETE ON revoked_subjects TO identity_jobs;
