-- Where people sign in is found by the domain of their e-mail address, too. A domain leads to the active providers of one organisation: see
-- email_domain_taken.
ALTER TABLE providers
    ADD COLUMN email_domains text[] COLLATE "C" DEFAULT '{}' NOT NULL
        CONSTRAINT providers_email_domains CHECK (cardinality(email_domains) <= 20);
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
