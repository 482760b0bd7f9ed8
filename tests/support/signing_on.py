"""A browser without a window signs a person on through the whole mesh; how often it is sent on is counted."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx
from verbund.tour.signing_in import form_of

REDIRECTS_MAX = 20  # then it goes round in circles
HTML = {"accept": "text/html", "accept-language": "en"}


@dataclass(frozen=True, slots=True)
class SignedOn:
    """The page that somebody wanted, and how many redirects led there from the click, what they typed not counted."""

    page: httpx.Response
    redirects: int


@contextmanager
def new_browser(mesh: Mapping[str, Any]) -> Iterator[httpx.Client]:
    """A browser that was never here."""
    trust = ssl.create_default_context(cafile=mesh["ca"])
    with httpx.Client(base_url=mesh["gateway"], verify=trust, timeout=30, headers=HTML) as client:
        yield client


def shown(browser: httpx.Client, answer: httpx.Response) -> tuple[httpx.Response, int]:
    """The page that the redirects lead to, and how many there were."""
    count = 0
    while answer.next_request is not None:
        answer, count = browser.send(answer.next_request), count + 1
        assert count <= REDIRECTS_MAX
    return answer, count


def sign_on(browser: httpx.Client, person: Mapping[str, str], path: str = "/console/") -> SignedOn:
    """The page at `path`, after the person chose their organisation, where there are several, and signed in."""
    page, count = shown(browser, browser.get(path))
    if "/oauth2/" in str(page.url):
        chosen = page.text.partition('name="form" value="')[2].partition('"')[0]
        providers = [part.partition('"')[0] for part in page.text.split('name="provider" value="')[1:]]
        own = [provider for provider in providers if provider.startswith(f"{person['organisation']}/")]
        choice = {"form": chosen, "provider": (own or providers)[0]}
        origin = {"origin": str(browser.base_url).rstrip("/")}
        page, more = shown(browser, browser.post("/oauth2/organisation", data=choice, headers=origin))
        count += more
    form = form_of(page)
    fields = form.fields | {"username": person["username"], "password": person["password"]}
    page, more = shown(browser, browser.post(urljoin(str(page.url), form.action), data=fields))
    return SignedOn(page, count + more)
