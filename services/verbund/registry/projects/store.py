"""The tables `projects` and `project_identifiers`: one method, one visible statement."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import psycopg.errors as pg

from verbund.database.rows import Rows, Transaction
from verbund.registry.audience import Audience
from verbund.registry.projects.domain import Project, members_of
from verbund.registry.projects.query import Words
from verbund.resources import pages
from verbund.resources.filters import Condition
from verbund.resources.names import ProjectName
from verbund.serving.refusals import Absent, Exists, Invalid, Stale

WORDS_CHARACTERS_MAX = 300  # of each description, for misspelt words; full text has all of it
ALIKE_WORDS_MAX = 4  # the longest say most

FIND = "SELECT body, revision, audience FROM registry.projects WHERE name = %(name)s"
LOCK = "SELECT body, revision, audience FROM registry.projects WHERE name = %(name)s FOR UPDATE"
LIST = """
    SELECT body, revision, audience FROM (
        SELECT name, body, revision, audience,
            sum(octet_length(body)) OVER (ORDER BY name) - octet_length(body) AS before
        FROM (
            SELECT p.name, p.body, p.revision, p.audience FROM registry.projects p
            WHERE p.name > %(after)s AND (<condition>)
            ORDER BY p.name LIMIT %(size)s
        ) AS page
    ) AS measured
    WHERE before < %(bytes)s
    ORDER BY name
"""
SEARCH = """
    SELECT score, body, 0 AS revision, audience FROM (
        SELECT name, score, body, audience,
            sum(octet_length(body)) OVER (ORDER BY score DESC, name) - octet_length(body) AS before
        FROM registry.search_projects(
            to_tsquery('pg_catalog.german', %(starts)s), to_tsquery('pg_catalog.english', %(starts)s), %(words)s,
            %(score)s, %(name)s, %(size)s)
    ) AS measured
    WHERE before < %(bytes)s
    ORDER BY score DESC, name
"""
INSERT = """
    WITH project AS (
        INSERT INTO registry.projects (name, owner, revision, audience, body, status, visibility, strategy, measure,
            start_date, end_date, parties, update_time, search_de, search_en, words)
        VALUES (%(name)s, %(owner)s, %(revision)s, %(audience)s, %(body)s, %(status)s, %(visibility)s, %(strategy)s,
            %(measure)s, %(start_date)s, %(end_date)s, %(parties)s, %(update_time)s,
            setweight(to_tsvector('pg_catalog.german', %(title_de)s), 'A')
                || to_tsvector('pg_catalog.german', %(description_de)s),
            setweight(to_tsvector('pg_catalog.english', %(title_en)s), 'A')
                || to_tsvector('pg_catalog.english', %(description_en)s),
            lower(%(words)s))
    )
    INSERT INTO registry.project_identifiers (owner, scheme, id, project, audience)
    SELECT %(owner)s, given.scheme, given.id, %(name)s, %(audience)s
    FROM unnest(%(schemes)s::text[], %(ids)s::text[]) AS given (scheme, id)
"""
UPDATE = """
    UPDATE registry.projects SET revision = %(revision)s, audience = %(audience)s, body = %(body)s, status = %(status)s,
        visibility = %(visibility)s, strategy = %(strategy)s, measure = %(measure)s, start_date = %(start_date)s,
        end_date = %(end_date)s, parties = %(parties)s, update_time = %(update_time)s,
        search_de = setweight(to_tsvector('pg_catalog.german', %(title_de)s), 'A')
            || to_tsvector('pg_catalog.german', %(description_de)s),
        search_en = setweight(to_tsvector('pg_catalog.english', %(title_en)s), 'A')
            || to_tsvector('pg_catalog.english', %(description_en)s),
        words = lower(%(words)s)
    WHERE name = %(name)s AND revision = %(revision_before)s
"""
DELETE = "DELETE FROM registry.projects WHERE name = %(name)s"
INSERT_IDENTIFIERS = """
    INSERT INTO registry.project_identifiers (owner, scheme, id, project, audience)
    SELECT %(owner)s, given.scheme, given.id, %(name)s, %(audience)s
    FROM unnest(%(schemes)s::text[], %(ids)s::text[]) AS given (scheme, id)
"""
DELETE_IDENTIFIERS = "DELETE FROM registry.project_identifiers WHERE project = %(name)s"


@dataclass(frozen=True, slots=True)
class Hit:
    """A project that a search found."""

    score: float
    project: Project


class ProjectStore:
    """Projects in PostgreSQL; row-level security leaves those that the caller may see."""

    def find(self, rows: Rows, name: ProjectName, organisation: str) -> Project:
        """A project that the organisation may see; raises Absent."""
        row = rows.one(FIND, name=name)
        project = None if row is None else project_of(row)
        if project is None or not project.audience.includes(organisation):
            raise Absent(name)
        return project

    def lock(self, tx: Transaction, name: ProjectName, organisation: str) -> Project:
        """The same, locked until the transaction ends where the organisation owns it: nobody locks another's row."""
        row = tx.one(LOCK, name=name)
        return self.find(tx, name, organisation) if row is None else project_of(row)

    def list(self, rows: Rows, condition: Condition, *, after: str, size: int) -> Sequence[Project]:
        """The projects that a condition is true for, by name."""
        statement = LIST.replace("<condition>", condition.sql)
        found = rows.all(statement, after=after, size=size, bytes=pages.BYTES_MAX, **condition.parameters)
        return [project_of(row) for row in found]

    def search(self, rows: Rows, words: Words, *, after: tuple[float, str], size: int) -> Sequence[Hit]:
        """The projects that words find, the best first."""
        score, name = after
        alike = sorted(words.plain, key=len, reverse=True)[:ALIKE_WORDS_MAX]
        given = {"starts": words.starts(), "words": alike, "score": score, "name": name}
        found = rows.all(SEARCH, **given, size=size, bytes=pages.BYTES_MAX)
        return [Hit(row["score"], project_of(row)) for row in found]

    def insert(self, tx: Transaction, project: Project) -> None:
        """Records a project. Raises Exists for a name or identifier in use, Invalid where it names nothing."""
        with constraints_refused(project):
            tx.execute(INSERT, **columns_of(project))

    def save(self, tx: Transaction, before: Project, project: Project) -> None:
        """Stores a project's new form; raises as `insert`, and Stale where another change came between."""
        with constraints_refused(project):
            if tx.execute(UPDATE, revision_before=before.revision, **columns_of(project)) != 1:
                raise Stale(project.name)
            if before.audience != project.audience or before.content.identifiers != project.content.identifiers:
                tx.execute(DELETE_IDENTIFIERS, name=project.name)
                tx.execute(INSERT_IDENTIFIERS, **columns_of(project))

    def delete(self, tx: Transaction, project: Project) -> None:
        """Deletes a project and its identifiers."""
        if tx.execute(DELETE, name=project.name) != 1:
            raise Stale(project.name)


@contextlib.contextmanager
def constraints_refused(project: Project) -> Iterator[None]:
    """The database decides races; what its constraints refuse is refused to the caller."""
    try:
        yield
    except (pg.UniqueViolation, pg.ForeignKeyViolation) as error:
        match error.diag.constraint_name:
            case "projects_pkey":
                raise Exists(project.name) from None
            case "project_identifiers_pkey":
                raise Exists(f"{project.name}/identifiers") from None
            case "projects_strategy_fkey":
                raise Invalid("project.strategy", "there is no such strategy") from None
            case "projects_measure_fkey":
                raise Invalid("project.measure", "there is no such measure") from None
        raise


def columns_of(project: Project) -> dict[str, Any]:
    """What statements look for, beside the body."""
    content = project.content
    title, description = content.title, content.description
    begin = WORDS_CHARACTERS_MAX
    return {
        "name": project.name,
        "owner": project.owner,
        "revision": project.revision,
        "audience": project.audience.stored(),
        "body": project.body,
        "status": content.status,
        "visibility": content.visibility,
        "strategy": content.strategy or None,
        "measure": content.measure or None,
        "start_date": content.period.start_date or None,
        "end_date": content.period.end_date or None,
        "parties": members_of(content),
        "schemes": [identifier.scheme for identifier in content.identifiers],
        "ids": [identifier.id for identifier in content.identifiers],
        "update_time": content.update_time.ToDatetime(UTC),
        "title_de": title.de,
        "title_en": title.en,
        "description_de": description.de,
        "description_en": description.en,
        "words": " ".join([title.de, title.en, description.de[:begin], description.en[:begin]]),
    }


def project_of(row: dict[str, Any]) -> Project:
    """A row as the domain has it."""
    return Project(body=bytes(row["body"]), revision=row["revision"], audience=Audience.of(row["audience"]))
