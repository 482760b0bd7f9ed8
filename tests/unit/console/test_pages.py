"""The manual's pages are whole, lead somewhere, and need nothing from elsewhere."""

import gzip
import itertools
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from xml.etree import ElementTree as ET

import pytest
from verbund.console.http import entities_of
from verbund.console.pages.frame import STYLE

TEXT = (files("verbund.console") / "openapi.json").read_bytes()
DOCUMENT = json.loads(TEXT)
ENTITIES = entities_of(DOCUMENT, TEXT)
PAGES: Mapping[str, ET.Element] = {
    path: ET.fromstring(gzip.decompress(entity.packed).decode().removeprefix("<!doctype html>\n"))  # noqa: S314 - ours
    for path, entity in ENTITIES.items()
    if entity.media.startswith("text/html")
}
TOTAL_BYTES_MAX = 400_000
pages = pytest.mark.parametrize("path", PAGES)


def targets(page: ET.Element) -> Iterator[str]:
    for node in page.iter():
        yield from (value for key, value in node.attrib.items() if key in {"href", "src", "action", "srcset"})


def anchors(page: ET.Element) -> list[str]:
    return [node.attrib["id"] for node in page.iter() if "id" in node.attrib]


@pages
def test_links_lead_somewhere(path: str) -> None:
    """Every link is to a page of ours, and to something that stands on it."""
    for target in targets(PAGES[path]):
        page, _, anchor = target.partition("#")
        assert (page or path) in ENTITIES, target
        if anchor:
            assert anchor in anchors(PAGES[page or path]), target


@pages
def test_nothing_comes_from_elsewhere(path: str) -> None:
    """No script, no image, no style within the page, no foreign host."""
    for node in PAGES[path].iter():
        assert node.tag not in {"script", "style", "img", "iframe", "object", "embed", "form", "base"}
        assert not {key for key in node.attrib if key.startswith("on") or key == "style"}
    assert [t for t in targets(PAGES[path]) if not t.startswith(("/", "#"))] == []
    assert "url(" not in gzip.decompress(ENTITIES[STYLE].packed).decode()


@pages
def test_pages_are_ordered(path: str) -> None:
    """One heading of the first rank, none skipped; every id once; the language is told."""
    page = PAGES[path]
    ranks = [int(node.tag[1]) for node in page.iter() if node.tag in {"h1", "h2", "h3", "h4"}]
    assert ranks.count(1) == 1
    assert ranks[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(ranks))
    assert len(set(anchors(page))) == len(anchors(page))
    assert page.attrib["lang"] == "en"


def test_every_operation_is_on_its_page_and_in_the_contents() -> None:
    """Who looks for a method finds it from the first page."""
    listed = set(targets(PAGES["/docs"]))
    for item in DOCUMENT["paths"].values():
        for operation in item.values():
            (tag,) = operation["tags"]
            assert operation["operationId"] in anchors(PAGES[f"/docs/{tag}"])
            assert f"/docs/{tag}#{operation['operationId']}" in listed


def test_the_manual_is_small() -> None:
    """All of it, as it is sent, is less than one photograph."""
    assert sum(len(entity.packed) for entity in ENTITIES.values()) < TOTAL_BYTES_MAX
