"""A registry with a hundred thousand projects, in the rows that the registry itself would have written."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random

import psycopg
from verbund.registry.projects.domain import Project
from verbund.registry.projects.store import INSERT, columns_of
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import Identifier, LocalizedText, Period, Source
from verbund.resources.names import OrganisationName

COUNT = 100_000
SENTENCES_EACH = 4
MISSPELT_EACH = 23
THEMES = (
    "Luftqualität Radverkehr Regenwasser Schulhof Bibliothek Straßenbaum Wärme Abfall Wohnraum Beteiligung Solar "
    "Mobilität Verkehrssicherheit Quartier Barrierefreiheit Energie Klimaanpassung Gesundheit Jugend Kultur Denkmal "
    "Gewerbe Integration Nachbarschaft Parkraum Spielplatz Sportstätten Ufer Verwaltung Wirtschaft"
)
KINDS = "messnetz planung portal labor konzept werkstatt plattform karte dialog förderung register leitstelle"
STEMS = (
    "Hardenberg Albrecht Bergmann Brandenburg Danziger Eichen Fontane Fröbel Gneisenau Goethe Hasenheide Humboldt "
    "Kastanien Kleist Kolonnen Leibniz Lessing Linden Luisen Mendelssohn Mommsen Nollendorf Oranien Pestalozzi "
    "Rathenau Reinickes Rosenthaler Savigny Schiller Schleiermacher Siemens Stresemann Tauentzien Uhland Viktoria "
    "Warschauer Wiesen Winter Yorck Zimmermann"
)
ENDINGS = "platz straße allee ufer damm weg ring brücke park graben steig"
SENTENCES = (
    "Das Vorhaben erprobt, wie Daten aus mehreren Ämtern an einer Stelle zusammenkommen.",
    "Bürgerinnen und Bürger sehen, was vor ihrer Haustür geplant ist, und sagen dazu ihre Meinung.",
    "Gemessen wird mit Geräten, die wenig Strom brauchen und ohne Kabel auskommen.",
    "Die Ergebnisse stehen allen Bezirken unter einer offenen Lizenz zur Verfügung.",
    "Beteiligt sind Hochschulen, Vereine aus dem Kiez und die zuständigen Fachämter.",
    "Nach einem Jahr wird entschieden, ob das Angebot auf die ganze Stadt ausgeweitet wird.",
    "Im Mittelpunkt stehen Menschen, die digitale Angebote bisher selten nutzen.",
    "Die Kosten trägt zur Hälfte das Land, den Rest die Europäische Union.",
)
ANALYSE = "VACUUM (ANALYZE) registry.projects, registry.project_identifiers"


def fill(dsn: str, owner: OrganisationName, strategy: str) -> list[str]:
    """Records them for an owner, as projects of a strategy; their names.

    Each is decided by the registry's domain and stored by its own statement, with what searches look for, under all
    indexes. Only the entries of the change feed are left out, which no page reads.
    """
    at = datetime.now(UTC)
    with psycopg.connect(dsn, autocommit=True) as connection:
        with connection.transaction(), connection.cursor() as cursor:
            made = [Project.created(request, owner=owner, at=at) for request in requests(strategy)]
            cursor.executemany(INSERT, map(columns_of, made))
        connection.execute(ANALYSE)  # what autovacuum does within minutes
    return [project.name for project in made]


def requests(strategy: str) -> Iterator[pb.CreateProjectRequest]:
    """What is recorded, the same in each run."""
    chance = Random(1)
    themes, kinds, streets = THEMES.split(), KINDS.split(), [*all_streets()]
    for number in range(COUNT):
        street = streets[number % len(streets)]
        title = f"{chance.choice(themes)}{chance.choice(kinds)} {street}"
        yield pb.CreateProjectRequest(
            project_id=f"p{number}",
            project=pb.Project(
                title=LocalizedText(de=title),
                description=LocalizedText(de=" ".join(chance.sample(SENTENCES, SENTENCES_EACH))),
                status=chance.choice(pb.ProjectStatus.values()[1:]),
                strategy=strategy,
                visibility=pb.VISIBILITY_PUBLIC,
                period=Period(start_date=f"{2018 + number % 8}-{1 + number % 12:02}"),
                parties=[pb.Party(title="Bezirksamt, Stadtplanung", roles=[pb.PARTY_ROLE_PUBLIC_AUTHORITY])],
                identifiers=[Identifier(scheme="bench", id=str(number))],
                sources=[Source(uri="https://example.org/projekte", as_of="2026-05-02")],
            ),
        )


def all_streets() -> Iterator[str]:
    """Names of which each stands in some two hundred projects."""
    return map("".join, itertools.product(STEMS.split(), ENDINGS.split()))


def misspelt() -> list[str]:
    """Some of those names as somebody writes them in haste, without a letter in the middle: Hardenbrgplatz."""
    names = [*all_streets()][::MISSPELT_EACH]
    return [name[: len(name) // 2 - 1] + name[len(name) // 2 :] for name in names]
