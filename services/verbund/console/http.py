"""The console's routes: the OpenAPI document, the manual's pages, the people's. Their rules stand in routes.py."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from starlette.requests import Request
from starlette.responses import Response

from verbund.console.pages import contents, frame, service
from verbund.console.pages.service import Document
from verbund.console.routes import DOCS_PATH, OPENAPI_PATH, PAGES_PATH, PROTOS_PATH, ROUTES, START_PATH, STYLE_PATH
from verbund.console.site.application import Site
from verbund.protos.bundle import bundle, zipped
from verbund.serving.call import Call
from verbund.serving.guarded import Handler, guarded, in_json
from verbund.serving.http import ASGIApp
from verbund.serving.refusals import Refusal
from verbund.serving.tokens import TokenVerifier
from verbund.style.sheets import CONSOLE, MANUAL

HTML, CSS, JSON = "text/html; charset=utf-8", "text/css; charset=utf-8", "application/json"
ZIP = "application/zip"
# A page is text and one stylesheet: it loads nothing else, runs nothing, sends nothing, and stands in no frame.
POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
SAFE = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Entity:
    """Something to read, kept as it is sent: compressed. The few who cannot read that get it unpacked."""

    packed: bytes
    media: str
    digest: str

    @classmethod
    def of(cls, content: bytes, media: str) -> Self:
        """The entity with this content."""
        return cls(gzip.compress(content, mtime=0), media, hashlib.sha256(content).hexdigest()[:32])


def entities_of(document: Document, text: bytes) -> Mapping[str, Entity]:
    """Everything there is to read, by path."""
    pages = {
        DOCS_PATH: contents.contents_page(document),
        frame.REFUSALS: contents.refusals_page(document),
        **{PAGES_PATH + tag["name"]: service.service_page(document, tag) for tag in document["tags"]},
    }
    return {
        OPENAPI_PATH: Entity.of(text, JSON),
        frame.STYLE: Entity.of(MANUAL, CSS),
        STYLE_PATH: Entity.of(CONSOLE, CSS),
        PROTOS_PATH: Entity.of(zipped(bundle()), ZIP),
        **{path: Entity.of(page, HTML) for path, page in pages.items()},
    }


def application(entities: Mapping[str, Entity], site: Site, verifier: TokenVerifier, *, cache_seconds: int) -> ASGIApp:
    """The ASGI application of the console's routes."""
    absent = contents.absent_page()

    async def read(request: Request, _call: Call) -> Response:
        entity = entities.get(request.url.path)
        if entity is None:
            return Response(absent, 404, SAFE, HTML)
        return answer(entity, request.headers, cache_seconds)

    def refusing(request: Request, refusal: Refusal) -> Response:
        return (site.refused if request.url.path.startswith(START_PATH) else in_json)(request, refusal)

    handlers: dict[str, Handler] = {route.rule.name: read for route in ROUTES}
    handlers.update(site.handlers())
    return guarded(ROUTES, handlers, verifier, refusing=refusing)


def answer(entity: Entity, asked: Mapping[str, str], cache_seconds: int) -> Response:
    """The entity in the coding that the reader takes, or that it is what the reader has (RFC 9110, section 13)."""
    packed = takes_gzip(asked.get("accept-encoding", ""))
    tag = f'"{entity.digest}{"-gzip" if packed else ""}"'
    headers = SAFE | {
        "ETag": tag,
        "Cache-Control": f"public, max-age={cache_seconds}",
        "Vary": "Accept-Encoding",
    }
    if matches(asked.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if packed:
        headers["Content-Encoding"] = "gzip"
    return Response(entity.packed if packed else gzip.decompress(entity.packed), 200, headers, entity.media)


def takes_gzip(header: str) -> bool:
    """Whether Accept-Encoding names gzip, and not to refuse it."""
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in {"gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def matches(header: str, tag: str) -> bool:
    """Whether If-None-Match names a tag, weakly compared."""
    return any(part.strip().removeprefix("W/") in {tag, "*"} for part in header.split(","))
