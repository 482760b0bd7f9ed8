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

-- What waits in a mailbox of one sender.
CREATE INDEX deliveries_waiting ON deliveries (mailbox, sender) WHERE state IN ('available', 'claimed');

ALTER TABLE storage ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY storage_counted ON storage TO exchange_owner USING (true);
CREATE POLICY storage_read ON storage FOR SELECT TO exchange_service
    USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY storage_jobs ON storage TO exchange_jobs USING (true);

ALTER TABLE removed_documents ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY removed_documents_counted ON removed_documents FOR INSERT TO exchange_owner WITH CHECK (true);
CREATE POLICY removed_documents_jobs ON removed_documents TO exchange_jobs USING (true);

GRANT SELECT ON storage TO exchange_service;
GRANT SELECT, UPDATE ON storage TO exchange_jobs;
GRANT SELECT, DELETE ON removed_documents TO exchange_jobs;

-- What is stored already. The owner does not see it while its own policies hold for it; nobody else writes meanwhile.
ALTER TABLE documents NO FORCE ROW LEVEL SECURITY;
INSERT INTO storage (organisation, bytes)
SELECT 'organisations/' || split_part(delivery, '/', 2), sum(size_bytes) FROM documents GROUP BY 1;
ALTER TABLE documents FORCE ROW LEVEL SECURITY;
