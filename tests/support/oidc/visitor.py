"""A person's browser, as far as a sign-on needs one: it follows redirects and fills in the forms that it is shown."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
from verbund.tour.signing_in import form_of

STEPS_MAX = 20


class Stuck(Exception):  # noqa: N818 - it is no error where a test expects it
    """A page leads nowhere."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__(f"{page.url}: {page.status_code} {page.text[:2000]}")


class Visitor:
    """A person with a browser: they sign in at `provider`, the start of the name of one, and agree to everything."""

    def __init__(self, browser: httpx.Client, *, provider: str, username: str, password: str) -> None:
        self._browser = browser
        self._provider = provider
        self._typed = {"username": username, "password": password}
        self.pages: list[str] = []
        self.agreed = 0

    def visit(self, url: str, ends: frozenset[str]) -> str:
        """Goes to `url`; the value is the first address on the way that begins with one of `ends`."""
        answer = self._browser.get(url)
        for _ in range(STEPS_MAX):
            following = answer.next_request
            if following is None:
                answer = self._submitted(answer)
            elif str(following.url).partition("?")[0] in ends:
                return str(following.url)
            else:
                answer = self._browser.send(following)
        raise Stuck(answer)

    def _submitted(self, page: httpx.Response) -> httpx.Response:
        """Fills in the form of a page, as its words ask for."""
        if page.status_code != httpx.codes.OK or "<form" not in page.text:
            raise Stuck(page)
        self.pages.append(page.url.path)
        form = form_of(page)
        fields = form.fields | self._answer(page)
        parts = urlsplit(str(page.url))
        headers = {"origin": f"{parts.scheme}://{parts.netloc}"}
        return self._browser.post(urljoin(str(page.url), form.action), data=fields, headers=headers)

    def _answer(self, page: httpx.Response) -> dict[str, str]:
        """What the person types or clicks."""
        if 'name="decision"' in page.text:
            self.agreed += 1
            return {"decision": "allow"}
        if 'name="provider"' in page.text:
            choices = [part.partition('"')[0] for part in page.text.split('name="provider" value="')[1:]]
            return {"provider": next(choice for choice in choices if choice.startswith(self._provider))}
        if 'name="logout"' in page.text:
            return {"logout": "yes"}
        return self._typed if 'type="password"' in page.text else {}


@contextmanager
def browser(ca: Path) -> Iterator[httpx.Client]:
    """A browser that was never anywhere."""
    trust = ssl.create_default_context(cafile=ca)
    headers = {"accept": "text/html", "accept-language": "en"}
    with httpx.Client(verify=trust, timeout=30, headers=headers) as client:
        yield client
