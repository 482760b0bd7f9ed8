-- The exchange: mailboxes, what is delivered to them, and what happened to it.
--
-- `parties` says which organisations know of a delivery: its sender, and its receiver from the submission on. The domain
-- decides it (exchange/deliveries/domain.py); the policies below apply it a second time, whatever a statement says.

CREATE TABLE mailboxes (
    name text COLLATE "C" CONSTRAINT mailboxes_pkey PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    title text NOT NULL,
    -- Who may send to it, by name; none means every member.
    senders text[] NOT NULL,
    -- What it accepts; none means everything, 0 the bound of the mesh.
    media_types text[] NOT NULL,
    document_bytes_max bigint NOT NULL,
    -- 0 means what the domain says.
    claim_seconds integer NOT NULL,
    pickup_days integer NOT NULL,
    state text NOT NULL CONSTRAINT mailboxes_state CHECK (state IN ('open', 'closed')),
    -- Goes up with every change: the etag is made of it.
    revision bigint NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    CONSTRAINT mailboxes_name CHECK (starts_with(name, organisation || '/mailboxes/'))
);
CREATE INDEX mailboxes_organisation_name ON mailboxes (organisation, name);

CREATE TABLE deliveries (
    name text COLLATE "C" CONSTRAINT deliveries_pkey PRIMARY KEY,
    sender text COLLATE "C" NOT NULL,
    receiver text COLLATE "C" NOT NULL,
    mailbox text COLLATE "C" NOT NULL CONSTRAINT deliveries_mailbox_fkey REFERENCES mailboxes (name),
    parties text[] NOT NULL,
    subject text NOT NULL,
    message text NOT NULL,
    project text NOT NULL,
    reference text NOT NULL,
    state text NOT NULL CONSTRAINT deliveries_state CHECK (
        state IN ('draft', 'available', 'claimed', 'accepted', 'rejected', 'expired', 'withdrawn')
    ),
    -- Of its documents, in hexadecimal digits; empty until it is submitted.
    manifest_sha256 text NOT NULL,
    -- Who has claimed it, the subject of a token, and until when.
    claimant text,
    claim_expire_time timestamptz,
    -- Until when it is to be claimed.
    due_time timestamptz,
    rejection_reason smallint,
    rejection_explanation text,
    -- The span in which it began, in hexadecimal digits: later steps are linked to it. Empty where it was not traced.
    trace_id text NOT NULL,
    span_id text NOT NULL,
    revision bigint NOT NULL,
    create_time timestamptz NOT NULL,
    submit_time timestamptz,
    update_time timestamptz NOT NULL,
    CONSTRAINT deliveries_name CHECK (starts_with(name, sender || '/deliveries/')),
    CONSTRAINT deliveries_receiver CHECK (starts_with(mailbox, receiver || '/mailboxes/')),
    CONSTRAINT deliveries_submitted CHECK (
        (state = 'draft') = (submit_time IS NULL) AND (state = 'draft') = (due_time IS NULL)
        AND (state = 'draft') = (manifest_sha256 = '')
    ),
    CONSTRAINT deliveries_claimed CHECK (
        (claimant IS NULL) = (claim_expire_time IS NULL) AND (state = 'claimed') = (claimant IS NOT NULL)
    ),
    CONSTRAINT deliveries_rejected CHECK (
        (state = 'rejected') = (rejection_reason IS NOT NULL)
        AND (rejection_reason IS NULL) = (rejection_explanation IS NULL)
    )
);
CREATE INDEX deliveries_sent ON deliveries (sender, create_time DESC, name DESC);
CREATE INDEX deliveries_received ON deliveries (mailbox, submit_time DESC, name DESC) WHERE state <> 'draft';
-- The deliveries of one project, as a list by page reads them.
CREATE INDEX deliveries_sent_of_project ON deliveries (sender, project, create_time DESC, name DESC)
    WHERE project <> '';
CREATE INDEX deliveries_received_of_project ON deliveries (mailbox, project, submit_time DESC, name DESC)
    WHERE project <> '' AND state <> 'draft';
CREATE INDEX deliveries_drafts ON deliveries (sender, update_time) WHERE state = 'draft';
CREATE INDEX deliveries_drafts_by_age ON deliveries (update_time) WHERE state = 'draft';
CREATE INDEX deliveries_due ON deliveries (due_time) WHERE state = 'available';
CREATE INDEX deliveries_claims ON deliveries (claim_expire_time) WHERE state = 'claimed';
CREATE INDEX deliveries_waiting ON deliveries (mailbox, sender) WHERE state IN ('available', 'claimed');

-- A row stands for a document whose content is whole and on the disk.
CREATE TABLE documents (
    name text COLLATE "C" CONSTRAINT documents_pkey PRIMARY KEY,
    delivery text COLLATE "C" NOT NULL
        CONSTRAINT documents_delivery_fkey REFERENCES deliveries (name) ON DELETE CASCADE,
    -- The last part of the name, the sender's choice.
    id text COLLATE "C" NOT NULL,
    file_name text NOT NULL,
    media_type text NOT NULL,
    size_bytes bigint NOT NULL CONSTRAINT documents_size CHECK (size_bytes >= 0),
    -- In hexadecimal digits: where the content lies.
    sha256 text COLLATE "C" NOT NULL CONSTRAINT documents_sha256 CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    create_time timestamptz NOT NULL,
    CONSTRAINT documents_name CHECK (name = delivery || '/documents/' || id)
);
CREATE INDEX documents_delivery ON documents (delivery, id);
CREATE INDEX documents_sha256 ON documents (sha256);

-- How many bytes the documents of each organisation hold that it sends, drafts and all: what its quota is held to. Each
-- document counts for itself, whoever else has the same content, so that nobody learns that; and until its content is off
-- the disk, so that nobody fills the disk with what they remove again.
CREATE TABLE storage (
    organisation text COLLATE "C" CONSTRAINT storage_pkey PRIMARY KEY,
    bytes bigint NOT NULL CONSTRAINT storage_bytes CHECK (bytes >= 0)
);

-- Documents that are gone, alone or with their delivery, whose contents are still to be looked after.
CREATE TABLE removed_documents (
    position bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT removed_documents_pkey PRIMARY KEY,
    organisation text COLLATE "C" NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text COLLATE "C" NOT NULL
);

-- The table itself counts, whatever statement, cascade or older code writes to it; services read, and cannot change it.
CREATE FUNCTION count_document() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = exchange, pg_temp
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO storage AS held (organisation, bytes)
        VALUES ('organisations/' || split_part(NEW.delivery, '/', 2), NEW.size_bytes)
        ON CONFLICT (organisation) DO UPDATE SET bytes = held.bytes + excluded.bytes;
    ELSE
        INSERT INTO removed_documents (organisation, size_bytes, sha256)
        VALUES ('organisations/' || split_part(OLD.delivery, '/', 2), OLD.size_bytes, OLD.sha256);
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION count_document() FROM PUBLIC;
CREATE TRIGGER documents_counted AFTER INSERT OR DELETE ON documents
    FOR EACH ROW EXECUTE FUNCTION count_document();

-- What happened to deliveries, and who is told of it. The feed's order is (transaction, position).
CREATE TABLE timeline (
    position bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT timeline_pkey PRIMARY KEY,
    -- The entry's own transaction, or a later one: never before the delivery's previous entry.
    transaction xid8 NOT NULL,
    delivery text COLLATE "C" NOT NULL
        CONSTRAINT timeline_delivery_fkey REFERENCES deliveries (name) ON DELETE CASCADE,
    mailbox text COLLATE "C" NOT NULL,
    parties text[] NOT NULL,
    event text NOT NULL,
    time timestamptz NOT NULL,
    -- The organisation that acted, and who in it; empty where time passed.
    organisation text NOT NULL,
    actor text NOT NULL,
    -- Where the delivery was after it, who was next, with what, and until when.
    state text NOT NULL,
    next_organisation text,
    next_action text,
    next_due_time timestamptz,
    document text NOT NULL,
    trace_id text NOT NULL,
    CONSTRAINT timeline_next CHECK ((next_organisation IS NULL) = (next_action IS NULL))
);
CREATE INDEX timeline_feed ON timeline (transaction, position);
CREATE INDEX timeline_delivery ON timeline (delivery, position);

-- Answers under a caller's request_id, kept for 48 hours (AIP-155).
CREATE TABLE idempotency (
    organisation text NOT NULL,
    caller text NOT NULL,
    method text NOT NULL,
    request_id uuid NOT NULL,
    request_digest bytea NOT NULL,
    answer bytea,
    create_time timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_pkey PRIMARY KEY (organisation, caller, method, request_id)
);
CREATE INDEX idempotency_create_time ON idempotency (create_time);

-- A mailbox is known to its organisation, to those who may send to it, and to those who run the mesh.
ALTER TABLE mailboxes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mailboxes_read ON mailboxes FOR SELECT TO exchange_service USING (
    organisation = current_setting('verbund.organisation', true)
    OR current_setting('verbund.operator', true) = 'true'
    OR (current_setting('verbund.organisation', true) <> ''
        AND (senders = '{}' OR current_setting('verbund.organisation', true) = ANY (senders)))
);
CREATE POLICY mailboxes_insert ON mailboxes FOR INSERT TO exchange_service WITH CHECK (
    organisation = current_setting('verbund.organisation', true)
    OR current_setting('verbund.operator', true) = 'true'
);
CREATE POLICY mailboxes_update ON mailboxes FOR UPDATE TO exchange_service USING (
    organisation = current_setting('verbund.organisation', true)
    OR current_setting('verbund.operator', true) = 'true'
);

ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY deliveries_read ON deliveries FOR SELECT TO exchange_service
    USING (current_setting('verbund.organisation', true) = ANY (parties));
CREATE POLICY deliveries_insert ON deliveries FOR INSERT TO exchange_service
    WITH CHECK (sender = current_setting('verbund.organisation', true));
CREATE POLICY deliveries_update ON deliveries FOR UPDATE TO exchange_service
    USING (current_setting('verbund.organisation', true) = ANY (parties));
CREATE POLICY deliveries_delete ON deliveries FOR DELETE TO exchange_service
    USING (sender = current_setting('verbund.organisation', true) AND state = 'draft');
CREATE POLICY deliveries_jobs ON deliveries TO exchange_jobs USING (true);

-- What the sender took back the receiver sees no more.
ALTER TABLE documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY documents_read ON documents FOR SELECT TO exchange_service USING (
    EXISTS (
        SELECT 1 FROM deliveries d
        WHERE d.name = documents.delivery AND current_setting('verbund.organisation', true) = ANY (d.parties)
            AND (d.state <> 'withdrawn' OR d.sender = current_setting('verbund.organisation', true))
    )
);
CREATE POLICY documents_insert ON documents FOR INSERT TO exchange_service WITH CHECK (
    EXISTS (
        SELECT 1 FROM deliveries d
        WHERE d.name = documents.delivery AND d.sender = current_setting('verbund.organisation', true)
            AND d.state = 'draft'
    )
);
CREATE POLICY documents_delete ON documents FOR DELETE TO exchange_service USING (
    EXISTS (
        SELECT 1 FROM deliveries d
        WHERE d.name = documents.delivery AND d.sender = current_setting('verbund.organisation', true)
            AND d.state = 'draft'
    )
);
CREATE POLICY documents_jobs ON documents TO exchange_jobs USING (true);

ALTER TABLE storage ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY storage_counted ON storage TO exchange_owner USING (true);
CREATE POLICY storage_read ON storage FOR SELECT TO exchange_service
    USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY storage_jobs ON storage TO exchange_jobs USING (true);

ALTER TABLE removed_documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY removed_documents_counted ON removed_documents FOR INSERT TO exchange_owner WITH CHECK (true);
CREATE POLICY removed_documents_jobs ON removed_documents TO exchange_jobs USING (true);

ALTER TABLE timeline ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY timeline_read ON timeline FOR SELECT TO exchange_service
    USING (current_setting('verbund.organisation', true) = ANY (parties));
CREATE POLICY timeline_insert ON timeline FOR INSERT TO exchange_service
    WITH CHECK (current_setting('verbund.organisation', true) = ANY (parties));
-- The feed reads each entry once for all watchers; it decides for each who sees it.
CREATE POLICY timeline_jobs ON timeline TO exchange_jobs USING (true);

ALTER TABLE idempotency ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY idempotency_own ON idempotency TO exchange_service
    USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY idempotency_jobs ON idempotency TO exchange_jobs USING (true);

GRANT SELECT, INSERT, UPDATE ON mailboxes TO exchange_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON deliveries TO exchange_service;
GRANT SELECT, INSERT, DELETE ON documents TO exchange_service;
GRANT SELECT, INSERT ON timeline TO exchange_service;
GRANT SELECT, INSERT, UPDATE ON idempotency TO exchange_service;
GRANT SELECT ON documents TO exchange_jobs;
GRANT SELECT, UPDATE, DELETE ON deliveries TO exchange_jobs;
GRANT SELECT, INSERT ON timeline TO exchange_jobs;
GRANT SELECT, DELETE ON idempotency TO exchange_jobs;
GRANT SELECT ON storage TO exchange_service;
GRANT SELECT, UPDATE ON storage TO exchange_jobs;
GRANT SELECT, DELETE ON removed_documents TO exchange_jobs;
