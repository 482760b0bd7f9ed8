"""The mesh describes its interface itself, to anybody: for programs and for people."""

import json
import ssl
from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.home import Up

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("mesh")]

DOCUMENT = json.loads((files("verbund.console") / "openapi.json").read_bytes())
PAGES = ["/docs", "/docs/refusals", *(f"/docs/{tag['name']}" for tag in DOCUMENT["tags"])]


@pytest.fixture
def anybody(mesh: dict[str, Any], running: Up) -> Iterator[httpx.Client]:
    """A reader without a token."""
    assert running.is_ready()
    with httpx.Client(base_url=mesh["gateway"], verify=ssl.create_default_context(cafile=mesh["ca"])) as client:
        yield client


def test_the_document_is_for_anybody(anybody: httpx.Client) -> None:
    """Without a token, compressed, and kept by whoever has it."""
    answer = anybody.get("/openapi.json")
    assert answer.json() == DOCUMENT
    assert (answer.headers["content-encoding"], answer.headers["content-type"]) == ("gzip", "application/json")
    again = anybody.get("/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_manual_is_for_anybody(anybody: httpx.Client) -> None:
    """Each page, and its style, under a policy that lets it load nothing else."""
    for path in (*PAGES, "/docs/style.css"):
        answer = anybody.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert anybody.head(path).headers["etag"] == answer.headers["etag"]


def test_it_takes_nothing(anybody: httpx.Client) -> None:
    """A method that is none of reading is refused in the mesh's own form."""
    for path in ("/openapi.json", "/docs", "/docs/refusals"):
        answer = anybody.post(path)
        assert (answer.status_code, answer.json()["details"][0]["reason"]) == (405, "UNKNOWN_METHOD")


def test_pages_have_no_barriers(mesh: dict[str, Any], page: "Page") -> None:
    """axe-core finds nothing on any page, nothing is blocked, and nothing is fetched from elsewhere."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - brings the browser's driver

    complaints: list[str] = []
    fetched: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("request", lambda request: fetched.append(request.url))
    for path in PAGES:
        page.goto(mesh["gateway"] + path)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    assert not complaints
    assert {url.partition("/docs")[0] for url in fetched} == {mesh["gateway"]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_readable_on_a_telephone(mesh: dict[str, Any], page: "Page", scheme: str) -> None:
    """At 320 px nobody scrolls sideways, and by dark the contrast is enough too."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - brings the browser's driver

    page.set_viewport_size({"width": 320, "height": 700})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for path in PAGES:
        page.goto(mesh["gateway"] + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        assert page.evaluate("getComputedStyle(document.querySelector('.skip')).position") == "absolute"
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
