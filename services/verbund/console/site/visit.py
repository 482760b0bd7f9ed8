"""One request of a person: in which language, as whom, with which calls; and the page it ends with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from verbund.console.routes import LANGUAGE_COOKIE
from verbund.console.site import formats, language
from verbund.console.site.formats import Formats
from verbund.console.site.language import Words
from verbund.console.site.peers import Asking
from verbund.policy.roles import permissions_of
from verbund.registry.v1.types_pb2 import LocalizedText
from verbund.serving.call import Principal
from verbund.serving.translation import trace_id_of
from verbund.style.sheets import MARK

# A page is text, forms and one stylesheet: it loads nothing else, runs nothing, stands in no frame, is kept nowhere.
# Referrer-Policy: other hosts learn nothing; `no-referrer` would make browsers send `Origin: null` with our own forms.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
TEMPLATES = Environment(
    loader=PackageLoader("verbund.console.site"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
TEMPLATES.globals["mark"] = Markup(MARK)  # noqa: S704 - ours
# Read once, before the parts that are forked give their rights up.
for _name in TEMPLATES.list_templates():
    TEMPLATES.get_template(_name)


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the registry in the language it has."""

    value: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What a page is made for. `here` is the address that shows it again; `naming` waits for the person's name."""

    language: str
    formats: Formats
    here: str
    query: Mapping[str, str] = field(default_factory=dict)
    remember: bool = False
    principal: Principal | None = None
    asking: Asking | None = None
    naming: Callable[[], str] = str

    @property
    def words(self) -> Words:
        """The words of the page."""
        return language.WORDS[self.language]

    @property
    def organisation(self) -> str:
        """The person's organisation; empty where nobody is signed in."""
        return self.principal.organisation if self.principal else ""

    def may(self, permission: str) -> bool:
        """Whether the person's roles hold a permission: what they may not do is not offered to them."""
        return self.principal is not None and permission in permissions_of(self.principal.roles)

    def text(self, text: LocalizedText) -> Text:
        """A text in the page's language, or in the other one where it has only that."""
        found = {"de": text.de, "en": text.en}
        known = [self.language, *(other for other in language.LANGUAGES if other != self.language)]
        chosen = next((each for each in known if found[each]), self.language)
        return Text(found[chosen], chosen)

    def page(
        self, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
    ) -> Response:
        """The page that a template makes of the values."""
        content = TEMPLATES.get_template(template).render(
            visit=self,
            w=self.words,
            f=self.formats,
            languages=[(each, self.in_language(each)) for each in language.LANGUAGES],
            trace_id=trace_id_of(),
            time_of=formats.time_of,
            **{"organisation_title": "", **values},
        )
        answer = HTMLResponse(content, status, {**HEADERS, **(headers or {}), "Content-Language": self.language})
        if self.remember:
            answer.headers.append("Set-Cookie", language.cookie(self.language))
        return answer

    @property
    def address(self) -> str:
        """The address of this page."""
        return f"{self.here}?{urlencode(self.query)}" if self.query else self.here

    def in_language(self, other: str) -> str:
        """The address of this page in a language."""
        return f"{self.here}?{urlencode({**self.query, 'lang': other})}"


def visit_of(
    request: Request,
    *,
    now: datetime,
    zone: Any,
    principal: Principal | None = None,
    asking: Asking | None = None,
    naming: Callable[[], str] = str,
) -> Visit:
    """The visit that a request is."""
    asked = request.query_params.get("lang", "")
    remembered = request.cookies.get(LANGUAGE_COOKIE, "")
    found = language.chosen(asked, remembered, request.headers.get("accept-language", ""))
    query = {name: value for name, value in request.query_params.items() if name in ("q", "page")}
    return Visit(
        language=found,
        formats=Formats(found, zone, now),
        here=quote(request.url.path),
        query=query if request.method in ("GET", "HEAD") else {},
        remember=asked == found,
        principal=principal,
        asking=asking,
        naming=naming,
    )
