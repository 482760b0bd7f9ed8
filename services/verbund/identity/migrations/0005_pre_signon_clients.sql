-- Where people who sign on to a system come back to, and whether PKCE alone proves who asked.
ALTER TABLE systems
    ADD COLUMN redirect_uris text[] DEFAULT '{}' NOT NULL
        CONSTRAINT systems_redirect_uris CHECK (cardinality(redirect_uris) <= 16),
    ADD COLUMN post_logout_redirect_uris text[] DEFAULT '{}' NOT NULL
        CONSTRAINT systems_post_logout_redirect_uris CHECK (cardinality(post_logout_redirect_uris) <= 16),
    ADD COLUMN public_client boolean DEFAULT false NOT NULL;
