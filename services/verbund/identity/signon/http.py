"""The HTTP routes of the sign-on: what browsers and clients send, and the pages and redirects that they get."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import Any

import orjson
import structlog
from opentelemetry import trace
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from verbund.identity.routes import AFTER, BROWSER, LOGOUT_PATH, ORGANISATION, SESSION, SIGNED_OUT_PATH
from verbund.identity.signon import pages
from verbund.identity.signon.domain import Browser, Unanswerable
from verbund.identity.signon.flow import SignOn
from verbund.identity.signon.leaving import Confirm, Leaving
from verbund.identity.signon.outcomes import Choose, Consent, Outcome
from verbund.identity.signon.requests import one
from verbund.identity.signon.retelling import Retelling
from verbund.identity.signon.texts import Texts, texts_for
from verbund.identity.signon.userinfo import Userinfo
from verbund.identity.threads import run_in
from verbund.openid.pages import HEADERS, closed_off
from verbund.openid.requests import Pairs, source_of
from verbund.serving import forms
from verbund.serving.refusals import Refusal
from verbund.style.sheets import SIGN_ON

CHOOSE_PATH, CONSENT_PATH = "/oauth2/organisation", "/oauth2/consent"
# __Host-: the browser takes them over TLS only, and gives them back to this host only (RFC 6265bis).
KEY_LENGTH = 43
REMEMBERED_SECONDS = 180 * 24 * 3600
BYTES_MAX, FIELDS_MAX = 16 * 1024, 48
SEE_OTHER = 303
# A form's answer must say where it came from: no-referrer would make that "null".
REFERRER = "same-origin"
STYLE_HEADERS = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}
RETRY_SECONDS = 10

Handler = Callable[[Request], Awaitable[Response]]
Page = Callable[[Request, Pairs], Response]

log = structlog.get_logger(__name__)


class SignOnRoutes:
    """The handlers, by the names of their rules."""

    def __init__(
        self,
        *,
        issuer: str,
        metadata: Mapping[str, Any],
        sign_on: SignOn,
        leaving: Leaving,
        userinfo: Userinfo,
        retelling: Retelling,
        threads: Executor,
    ) -> None:
        self._issuer = issuer
        self._metadata = metadata
        self._sign_on = sign_on
        self._leaving = leaving
        self._userinfo = userinfo
        self._retelling = retelling
        self._threads = threads

    def handlers(self) -> dict[str, Handler]:
        """All of them."""
        return {
            "identity.signon.metadata": self._metadata_read,
            "identity.signon.style": style,
            "identity.signon.authorize": self._page(self._authorize),
            "identity.signon.choose": self._page(self._choose, own=True),
            "identity.signon.callback": self._page(self._callback),
            "identity.signon.consent": self._page(self._consent, own=True),
            "identity.signon.leave": self._page(self._leave),
            "identity.signon.left": self._page(self._signed_out),
            "identity.signon.refused": self._page(self._refused),
            "identity.signon.userinfo": self._userinfo_read,
        }

    def _page(self, handle: Page, *, own: bool = False) -> Handler:
        """A route for browsers: what cannot be done is said on a page. `own` forms come from our own pages only."""

        async def answering(request: Request) -> Response:
            try:
                pairs = await pairs_of(request)
            except Unanswerable as refused:
                return self._refusal(request, (), refused)
            return await run_in(self._threads, self._answer, handle, request, pairs, own)

        return answering

    def _answer(self, handle: Page, request: Request, pairs: Pairs, own: bool) -> Response:
        try:
            if own:
                self._refuse_foreign(request)
            return handle(request, pairs)
        except Unanswerable as refused:
            log.info("no sign-on", reason=refused.reason)
            return self._refusal(request, pairs, refused)
        except Refusal as refused:  # the database is away, or slower than the deadline
            log.warning("unavailable", reason=refused.reason)
            away = Unanswerable("unavailable", status=503, retry_seconds=RETRY_SECONDS)
            return self._refusal(request, pairs, away)

    def _refusal(self, request: Request, pairs: Pairs, refused: Unanswerable) -> Response:
        """The page of a refusal."""
        trace_id = f"{trace.get_current_span().get_span_context().trace_id:032x}"
        return self._told_so(texts_of(request, refused.ui_locales or one(pairs, "ui_locales")), refused, trace_id)

    def _refused(self, request: Request, pairs: Pairs) -> Response:
        """The same page, asked for in another language."""
        refused, trace_id = self._retelling.read(one(pairs, "about"))
        return self._told_so(texts_of(request, one(pairs, "ui_locales")), refused, trace_id)

    def _told_so(self, texts: Texts, refused: Unanswerable, trace_id: str) -> Response:
        about = self._retelling.about(refused, trace_id)
        response = page(pages.refusal(texts, refused, trace_id, about=about), status=refused.status)
        if refused.retry_seconds:
            response.headers["Retry-After"] = str(refused.retry_seconds)
        return response

    def _refuse_foreign(self, request: Request) -> None:
        """Raises Unanswerable for a form that another site's page sent, whatever cookies came with it."""
        if request.headers.get("origin", self._issuer) != self._issuer:
            raise Unanswerable("origin", status=403)
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Unanswerable("origin", status=403)

    async def _metadata_read(self, _request: Request) -> Response:
        return JSONResponse(dict(self._metadata), headers=STYLE_HEADERS)

    def _authorize(self, request: Request, pairs: Pairs) -> Response:
        browser = browser_of(request)
        return self._shown(request, browser, self._sign_on.begin(pairs, browser))

    def _choose(self, request: Request, pairs: Pairs) -> Response:
        browser, form = browser_of(request), one(pairs, "form")
        if any(name == "email" for name, _ in pairs):
            address = one(pairs, "email")
            return self._shown(request, browser, self._sign_on.find(form, address, browser), email=address)
        chosen = self._sign_on.choose(form, one(pairs, "provider"), browser)
        return self._shown(request, browser, chosen, search=one(pairs, "search"))

    def _callback(self, request: Request, pairs: Pairs) -> Response:
        browser = browser_of(request)
        return self._shown(request, browser, self._sign_on.back(pairs, browser))

    def _consent(self, request: Request, pairs: Pairs) -> Response:
        browser, given = browser_of(request), one(pairs, "decision") == "allow"
        return self._shown(request, browser, self._sign_on.consent(one(pairs, "form"), browser, given=given))

    def _shown(
        self, request: Request, browser: Browser, outcome: Outcome, *, search: str = "", email: str = ""
    ) -> Response:
        """What the browser gets: the way on, or a page, with what was typed on it."""
        if isinstance(outcome, Choose):
            texts = texts_of(request, outcome.request.ui_locales)
            shown = pages.choose(texts, outcome, action=CHOOSE_PATH, search=search, email=email)
            response: Response = page(shown, source=pages.sources(outcome.choices))
        elif isinstance(outcome, Consent):
            texts = texts_of(request, outcome.request.ui_locales)
            shown = pages.consent(texts, outcome, action=CONSENT_PATH)
            response = page(shown, source=source_of(outcome.request.redirect_uri))
        else:
            response = redirect(outcome.location)
        # Where somebody signed in, not where they were sent: a link of somebody else's may have sent them there.
        if not isinstance(outcome, Choose) and outcome.session:
            set_cookie(response, SESSION, outcome.session)
            set_cookie(response, ORGANISATION, outcome.provider, REMEMBERED_SECONDS)
        set_cookie(response, BROWSER, browser.key)
        return response

    def _leave(self, request: Request, pairs: Pairs) -> Response:
        confirmed = request.method == "POST" and one(pairs, "confirmed") == "yes"
        if confirmed:
            self._refuse_foreign(request)
        outcome = self._leaving.begin(pairs, browser_of(request), confirmed=confirmed)
        if isinstance(outcome, Confirm):
            texts = texts_of(request, one(pairs, "ui_locales"))
            return page(pages.sign_out(texts, outcome.pairs, action=LOGOUT_PATH), source="https: http:")
        response = redirect(outcome.location or SIGNED_OUT_PATH)
        for name in (SESSION, ORGANISATION):
            response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
        if outcome.after:
            set_cookie(response, AFTER, outcome.after, 600)
        return response

    def _signed_out(self, request: Request, pairs: Pairs) -> Response:
        if after := self._leaving.after(request.cookies.get(AFTER, "")):
            response: Response = redirect(after)
        else:
            response = page(pages.signed_out(texts_of(request, one(pairs, "ui_locales"))))
        response.delete_cookie(AFTER, path="/", secure=True, httponly=True, samesite="lax")
        return response

    async def _userinfo_read(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return Response(status_code=401, headers=NO_STORE | {"WWW-Authenticate": "Bearer"})
        return await run_in(self._threads, self._told, token.strip())

    def _told(self, token: str) -> Response:
        try:
            claims = self._userinfo.claims(token)
        except Refusal:
            return Response(status_code=503, headers=NO_STORE | {"Retry-After": str(RETRY_SECONDS)})
        if claims is None:
            return Response(status_code=401, headers=NO_STORE | {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return Response(orjson.dumps(claims), headers=NO_STORE, media_type="application/json")


async def style(_request: Request) -> Response:
    """The style sheet of every page."""
    return Response(SIGN_ON, media_type="text/css", headers=STYLE_HEADERS)


async def pairs_of(request: Request) -> Pairs:
    """The parameters of a request: of the query, or of the form that was posted. Raises Unanswerable."""
    if request.method != "POST":
        return parsed(request.scope["query_string"])
    if not forms.is_form(request.headers.get("content-type", "")):
        raise Unanswerable("malformed", status=415)
    try:
        return parsed(await forms.body_of(request, BYTES_MAX))
    except forms.TooLarge:
        raise Unanswerable("malformed", status=413) from None
    except ClientDisconnect:
        raise Unanswerable("malformed") from None


def parsed(text: bytes) -> Pairs:
    """The pairs of a query or a form; raises Unanswerable."""
    if len(text) > BYTES_MAX:
        raise Unanswerable("malformed", status=413)
    try:
        return forms.pairs_of(text, fields_max=FIELDS_MAX)
    except ValueError:
        raise Unanswerable("malformed") from None


def browser_of(request: Request) -> Browser:
    """The browser by its cookies; two windows have the same."""
    found = request.cookies.get(BROWSER, "")
    key = found if len(found) == KEY_LENGTH else secrets.token_urlsafe(32)
    return Browser(key, request.cookies.get(SESSION, ""), request.cookies.get(ORGANISATION, ""))


def texts_of(request: Request, ui_locales: str) -> Texts:
    """The texts in the languages that were asked for, else in the browser's."""
    return texts_for(ui_locales, request.headers.get("accept-language", ""))


def page(content: str, *, source: str = "", status: int = 200) -> Response:
    """A page with the headers that close it off; `source` is where its form may lead."""
    return closed_off(content, source=source, status=status, referrer=REFERRER)


def redirect(location: str) -> Response:
    """The way on; the browser forgets the form that led to it, and says to nobody where it was."""
    return RedirectResponse(location, SEE_OTHER, headers=HEADERS | {"Referrer-Policy": "no-referrer"})


def set_cookie(response: Response, name: str, value: str, max_age_seconds: int | None = None) -> None:
    """A cookie that no script reads, and that no other site's form brings with it."""
    response.set_cookie(name, value, max_age=max_age_seconds, path="/", secure=True, httponly=True, samesite="lax")
