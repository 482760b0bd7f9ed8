-- The registry: strategies, measures, projects, and what changed of them.
--
-- `audience` says who sees a row: names of organisations, or '*' for every member. The domain decides it
-- (registry/audience.py); the policies below apply it a second time, whatever a statement says.

-- Whether the caller that the database doors named is in an audience.
CREATE FUNCTION sees(audience text[]) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN current_setting('verbund.organisation', true) <> ''
        AND audience && ARRAY['*', current_setting('verbund.organisation', true)];
REVOKE ALL ON FUNCTION sees(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sees(text[]) TO registry_service;

-- `body` is the resource as it is answered: its deterministic proto serialisation. The other columns are what statements look for.
CREATE TABLE strategies (
    name text COLLATE "C" CONSTRAINT strategies_pkey PRIMARY KEY,
    owner text NOT NULL,
    revision bigint NOT NULL,
    body bytea NOT NULL
);

CREATE TABLE measures (
    name text COLLATE "C" CONSTRAINT measures_pkey PRIMARY KEY,
    strategy text COLLATE "C" NOT NULL CONSTRAINT measures_strategy_fkey REFERENCES strategies (name),
    owner text NOT NULL,
    revision bigint NOT NULL,
    body bytea NOT NULL
);

CREATE TABLE projects (
    name text COLLATE "C" CONSTRAINT projects_pkey PRIMARY KEY,
    owner text NOT NULL,
    revision bigint NOT NULL,
    audience text[] NOT NULL,
    body bytea NOT NULL,
    status smallint NOT NULL,
    visibility smallint NOT NULL,
    strategy text COLLATE "C" CONSTRAINT projects_strategy_fkey REFERENCES strategies (name),
    measure text COLLATE "C" CONSTRAINT projects_measure_fkey REFERENCES measures (name),
    -- Dates as exact as they are known: '2022', '2022-03', '2022-03-01'.
    start_date text COLLATE "C",
    end_date text COLLATE "C",
    parties text[] NOT NULL,
    update_time timestamptz NOT NULL,
    search_de tsvector NOT NULL,
    search_en tsvector NOT NULL,
    -- Titles and the beginning of the descriptions, in lower case, for misspelt words and the ends of compounds.
    words text NOT NULL
);

-- The names that other registers gave: each organisation uses one once.
CREATE TABLE project_identifiers (
    owner text NOT NULL,
    scheme text NOT NULL,
    id text NOT NULL,
    project text COLLATE "C" NOT NULL CONSTRAINT project_identifiers_project_fkey REFERENCES projects (name) ON DELETE CASCADE,
    audience text[] NOT NULL,
    CONSTRAINT project_identifiers_pkey PRIMARY KEY (owner, scheme, id)
);

-- Every change, and who could see the resource before and after it. The feed's order is (transaction, position).
CREATE TABLE changes (
    position bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT changes_pkey PRIMARY KEY,
    -- The change's own transaction, or a later one: never before the resource's previous change.
    transaction xid8 NOT NULL,
    resource text COLLATE "C" NOT NULL,
    type smallint NOT NULL,
    time timestamptz NOT NULL,
    owner text NOT NULL,
    organisation text NOT NULL,
    changed_paths text[] NOT NULL,
    audience_before text[] NOT NULL,
    audience_after text[] NOT NULL,
    -- The resource after the change; none after its deletion.
    body bytea
);

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

CREATE INDEX measures_strategy ON measures (strategy, name);
CREATE INDEX projects_owner ON projects (owner, name);
CREATE INDEX projects_strategy ON projects (strategy) WHERE strategy IS NOT NULL;
CREATE INDEX projects_measure ON projects (measure) WHERE measure IS NOT NULL;
CREATE INDEX projects_search_de ON projects USING gin (search_de);
CREATE INDEX projects_search_en ON projects USING gin (search_en);
CREATE INDEX projects_words ON projects USING gin (words public.gin_trgm_ops);
-- The beginning holds the titles: there a misspelt name mostly stands, and short texts are quickly compared.
CREATE INDEX projects_titles ON projects USING gin (left(words, 120) public.gin_trgm_ops);
CREATE INDEX project_identifiers_id ON project_identifiers (id, scheme);
CREATE INDEX project_identifiers_project ON project_identifiers (project);
CREATE INDEX changes_feed ON changes (transaction, position);
CREATE INDEX changes_resource ON changes (resource, position);
CREATE INDEX idempotency_create_time ON idempotency (create_time);

-- Strategies and measures are public papers: every member reads all of them.
ALTER TABLE strategies ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY strategies_read ON strategies FOR SELECT TO registry_service USING (sees(ARRAY['*']));
CREATE POLICY strategies_insert ON strategies FOR INSERT TO registry_service
    WITH CHECK (owner = current_setting('verbund.organisation', true));
CREATE POLICY strategies_update ON strategies FOR UPDATE TO registry_service
    USING (owner = current_setting('verbund.organisation', true));
CREATE POLICY strategies_delete ON strategies FOR DELETE TO registry_service
    USING (owner = current_setting('verbund.organisation', true));

ALTER TABLE measures ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY measures_read ON measures FOR SELECT TO registry_service USING (sees(ARRAY['*']));
CREATE POLICY measures_insert ON measures FOR INSERT TO registry_service
    WITH CHECK (owner = current_setting('verbund.organisation', true));
CREATE POLICY measures_update ON measures FOR UPDATE TO registry_service
    USING (owner = current_setting('verbund.organisation', true));
CREATE POLICY measures_delete ON measures FOR DELETE TO registry_service
    USING (owner = current_setting('verbund.organisation', true));

ALTER TABLE projects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY projects_read ON projects FOR SELECT TO registry_service USING (sees(audience));
CREATE POLICY projects_insert ON projects FOR INSERT TO registry_service
    WITH CHECK (owner = current_setting('verbund.organisation', true));
CREATE POLICY projects_update ON projects FOR UPDATE TO registry_service
    USING (owner = current_setting('verbund.organisation', true));
CREATE POLICY projects_delete ON projects FOR DELETE TO registry_service
    USING (owner = current_setting('verbund.organisation', true));
-- For search_projects below, which runs as the owner and applies the audience itself.
CREATE POLICY projects_search ON projects FOR SELECT TO registry_owner USING (true);
CREATE POLICY projects_jobs ON projects TO registry_jobs USING (true);

ALTER TABLE project_identifiers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY project_identifiers_read ON project_identifiers FOR SELECT TO registry_service USING (sees(audience));
CREATE POLICY project_identifiers_insert ON project_identifiers FOR INSERT TO registry_service
    WITH CHECK (owner = current_setting('verbund.organisation', true));
CREATE POLICY project_identifiers_delete ON project_identifiers FOR DELETE TO registry_service
    USING (owner = current_setting('verbund.organisation', true));

ALTER TABLE changes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY changes_read ON changes FOR SELECT TO registry_service
    USING (sees(audience_before) OR sees(audience_after));
CREATE POLICY changes_insert ON changes FOR INSERT TO registry_service
    WITH CHECK (organisation = current_setting('verbund.organisation', true));
-- The feed reads each change once for all watchers; it decides for each who sees it.
CREATE POLICY changes_feed ON changes FOR SELECT TO registry_jobs USING (true);

ALTER TABLE idempotency ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY idempotency_own ON idempotency TO registry_service
    USING (organisation = current_setting('verbund.organisation', true));
CREATE POLICY idempotency_sweep ON idempotency TO registry_jobs USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON strategies, measures, projects TO registry_service;
GRANT SELECT, INSERT, DELETE ON project_identifiers TO registry_service;
GRANT SELECT, INSERT ON changes TO registry_service;
GRANT SELECT, INSERT, UPDATE ON idempotency TO registry_service;
GRANT SELECT ON changes TO registry_jobs;
GRANT SELECT, DELETE ON idempotency TO registry_jobs;

-- Full text under row-level security could not use its indexes (@@ is not leakproof), so this runs as the owner and
-- applies the same audience itself. Full text comes first, with a score above 1; where it finds little, words that are
-- misspelt or stand at the end of a compound follow, with a score below 1: those of titles, and where these are few too,
-- those of descriptions, each of which takes ten times as long to compare.
CREATE FUNCTION search_projects(
    query_de tsquery, query_en tsquery, query_words text[], after_score float8, after_name text, size integer
) RETURNS TABLE (name text, score float8, body bytea, audience text[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = registry, pg_temp
    SET pg_trgm.word_similarity_threshold = 0.5
BEGIN ATOMIC
    WITH found AS MATERIALIZED (
        SELECT p.name, 1 + greatest(ts_rank(p.search_de, query_de), ts_rank(p.search_en, query_en))::float8 AS score
        FROM projects p
        WHERE (p.search_de @@ query_de OR p.search_en @@ query_en) AND sees(p.audience)
        LIMIT 10000
    ), titled AS MATERIALIZED (
        -- Each costs a comparison a word, so they are few: a rare word has fewer, a frequent one is found by full text.
        SELECT p.name, CASE WHEN cardinality(query_words) > 2 THEN p.words ELSE left(p.words, 120) END AS words
        FROM projects p
        WHERE (SELECT count(*) FROM found) < CASE WHEN cardinality(query_words) > 2 THEN 1 ELSE 5 END
            AND query_words[1] OPERATOR(public.<%) left(p.words, 120)
            AND coalesce(query_words[2] OPERATOR(public.<%) left(p.words, 120), true)
            AND sees(p.audience)
            AND p.name NOT IN (SELECT f.name FROM found f)
        LIMIT 300
    ), described AS MATERIALIZED (
        SELECT p.name, p.words
        FROM projects p
        WHERE (SELECT count(*) FROM found) + (SELECT count(*) FROM titled)
                < CASE WHEN cardinality(query_words) > 2 THEN 1 ELSE 5 END
            AND query_words[1] OPERATOR(public.<%) p.words
            AND coalesce(query_words[2] OPERATOR(public.<%) p.words, true)
            AND sees(p.audience)
            AND p.name NOT IN (SELECT f.name FROM found f UNION ALL SELECT t.name FROM titled t)
        LIMIT 300
    ), alike AS MATERIALIZED (
        SELECT c.name, likeness.score
        FROM (SELECT t.name, t.words FROM titled t UNION ALL SELECT d.name, d.words FROM described d) c CROSS JOIN LATERAL (
            SELECT CASE WHEN min(each.score) < 0.4 THEN 0 ELSE avg(each.score) END AS score
            FROM (SELECT public.word_similarity(word, c.words) AS score FROM unnest(query_words) AS word OFFSET 0) each
        ) likeness
    ), best AS (
        SELECT b.name, b.score
        FROM (SELECT f.name, f.score FROM found f UNION ALL SELECT a.name, a.score * 0.999 FROM alike a WHERE a.score > 0) b
        WHERE b.score < after_score OR (b.score = after_score AND b.name > after_name)
        ORDER BY b.score DESC, b.name
        LIMIT size
    )
    SELECT p.name, b.score, p.body, p.audience
    FROM best b JOIN projects p ON p.name = b.name
    ORDER BY b.score DESC, p.name;
END;
REVOKE ALL ON FUNCTION search_projects(tsquery, tsquery, text[], float8, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_projects(tsquery, tsquery, text[], float8, text, integer) TO registry_service;
