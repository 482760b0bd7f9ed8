"""What a page weighs with all that a browser fetches for it: as much as a slow line carries in a moment."""

import pytest
from verbund.console.site import projects, start
from verbund.registry.v1.types_pb2 import LocalizedText

from tests.integration.console.desk import CITYLAB, DISTRICT, Desk, Person
from tests.integration.console.test_projects import record

BYTES_MAX = 60_000
SUBJECT = "Projektauftrag mit allen Anlagen und Nachträgen, Fassung {}"


@pytest.fixture
def person(desk: Desk) -> Person:
    """Somebody whose every list is full, and whose projects and deliveries have long names."""
    for number in range(projects.PAGE_SIZE + 1):
        title = LocalizedText(de=f"Erprobung eines Projekts mit einem langen Namen in allen zwölf Bezirken {number}")
        record(desk, f"p{number:02}", title=title)
    concerned = f"projects/{DISTRICT}.p00"
    for number in range(projects.SHOWN_MAX + 1):
        subject = SUBJECT.format(number)
        desk.exchange.district.send(desk.exchange.mailbox, f"d{number:02}", subject=subject, project=concerned)
    back = desk.exchange.district.open_mailbox()
    for number in range(start.SHOWN_MAX + 1):
        desk.exchange.citylab.send(back, f"e{number:02}", subject=SUBJECT.format(number))
    return desk.person(CITYLAB)


def test_a_full_page_is_small(person: Person) -> None:
    """At most 60 KB with its one stylesheet, not compressed; nothing else is fetched, and no script is needed."""
    pages = {
        "/console/": 2 * start.SHOWN_MAX,
        "/console/projects": projects.PAGE_SIZE,
        f"/console/projects/{DISTRICT}/p00": projects.SHOWN_MAX,
        f"/console/deliveries/{DISTRICT}/d00": 1,
    }
    for path, rows in pages.items():
        shown = person.read(path)
        assert len(shown.root.findall(".//tbody/tr")) >= rows, path
        fetched = [node.attrib["href"] for node in shown.root.iter("link")]
        assert len(fetched) == 1, path
        assert not [node for tag in ("script", "img", "iframe", "object") for node in shown.root.iter(tag)], path
        style = person.client.get(fetched[0], headers={"Accept-Encoding": "identity"})
        weight = sum(len(answer.content) + len(str(answer.headers)) for answer in (shown.answer, style))
        assert weight <= BYTES_MAX, path
