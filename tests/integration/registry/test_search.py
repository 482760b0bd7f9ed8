"""Search over the wire: German and English, beginnings, compounds, misspelt words; the best first; bounded."""

import pytest
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import LocalizedText

from tests.integration.registry.mesh import Mesh
from tests.support.members import TIMEOUT_SECONDS, refused

PILOTS = {
    "hardenbergplatz": LocalizedText(de="Smart Space Hardenbergplatz"),
    "governance": LocalizedText(de="Data & Smart City Governance (am Beispiel Luftgütemanagement)"),
    "water": LocalizedText(de="Smart Water", en="Smart water management"),
    "kiezbox": LocalizedText(de="Daten in Alltag und Krise – Kiezbox 2.0"),  # noqa: RUF001 - the city writes it so
    "partizipation": LocalizedText(de="Smarte Partizipation / Bürgerhaushalt", en="Smart participation"),
}


@pytest.fixture
def pilots(mesh: Mesh) -> Mesh:
    """A registry with the pilots of Gemeinsam Digital: Berlin."""
    for last, title in PILOTS.items():
        mesh.citylab.create(last, title=title, visibility=pb.VISIBILITY_PUBLIC)
    return mesh


@pytest.mark.parametrize(
    ("query", "best"),
    [
        ("Smart Space Hardenbergplatz", "hardenbergplatz"),
        ("hardenberg", "hardenbergplatz"),  # the beginning of a compound
        ("Hardenbergplaz", "hardenbergplatz"),  # misspelt
        ("Luftgüte", "governance"),  # the head of a compound that German stemming misses
        ("Gütemanagement", "governance"),  # its end
        ("Kiezbox 2.0", "kiezbox"),
        ("kiezboxen", "kiezbox"),  # another form
        ("krisen", "kiezbox"),
        ("managing water", "water"),  # English forms
        ("participating", "partizipation"),
        ("Bürgerhaushalte", "partizipation"),
        ("burgerhaushalt", "partizipation"),  # without the umlaut
        ("Partizipation/Bürgerhaushalt", "partizipation"),
        ("'smart' & !(water:*", "water"),  # no query language: operators are no words
    ],
)
def test_a_project_is_found_by_words_that_people_type(pilots: Mesh, query: str, best: str) -> None:
    """The project that is meant comes first."""
    assert pilots.stranger.search(query)[:1] == [f"projects/citylab.{best}"]


@pytest.mark.parametrize("query", ["Kläranlage", "der die das", "!!!", "xyzzy", "und"])
def test_what_nobody_recorded_is_not_found(pilots: Mesh, query: str) -> None:
    """A query without a word that any project has finds nothing, and is no error."""
    found = pilots.stranger.search(query)
    assert "projects/citylab.water" not in found


def test_titles_count_more_than_descriptions(mesh: Mesh) -> None:
    """A project whose title has the word comes before one that mentions it often."""
    text = LocalizedText(de="Ein Platz und noch ein Platz, viele Plätze.")
    mesh.citylab.create("a", title=LocalizedText(de="Anderes"), description=text)
    mesh.citylab.create("b", title=LocalizedText(de="Platz"))
    assert mesh.citylab.search("Platz") == ["projects/citylab.b", "projects/citylab.a"]


def test_an_update_is_found_by_its_new_words_only(mesh: Mesh) -> None:
    """After a change of the title, the old words find nothing."""
    project = mesh.citylab.create("a", title=LocalizedText(de="Feinstaubsensor"))
    mesh.citylab.update(pb.Project(name=project.name, title=LocalizedText(de="Leihfahrrad")), "title")
    assert mesh.citylab.search("Feinstaubsensor") == []
    assert mesh.citylab.search("Leihfahrräder") == [project.name]


def test_pages_of_a_search_hold_each_hit_once_the_best_first(mesh: Mesh) -> None:
    """Pages end where the hits end, and agree with one large page."""
    for number in range(9):
        mesh.citylab.create(f"p{number}", title=LocalizedText(de="Radweg " * (1 + number % 3)))
    mesh.citylab.create("other", title=LocalizedText(de="Anderes"))
    whole = mesh.citylab.search("Radweg", page_size=100)
    assert len(whole) == 9
    request = pb.SearchProjectsRequest(query="Radweg", page_size=2)
    seen: list[str] = []
    while True:
        page = mesh.citylab.projects.SearchProjects(request, timeout=TIMEOUT_SECONDS)
        seen += [project.name for project in page.projects]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    assert seen == whole


def test_a_search_token_is_good_for_its_query_only(mesh: Mesh) -> None:
    """A token sent with another query is refused."""
    for number in range(3):
        mesh.citylab.create(f"p{number}", title=LocalizedText(de="Radweg"))
    first = mesh.citylab.projects.SearchProjects(
        pb.SearchProjectsRequest(query="Radweg", page_size=1), timeout=TIMEOUT_SECONDS
    )
    with refused("CURSOR_INVALID"):
        mesh.citylab.search("Radwege", page_token=first.next_page_token)
