"""The HTTP routes of the provider: for each organisation those of OpenID Connect, and the forms of its pages."""

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from verbund.openid.pages import HEADERS, closed_off
from verbund.openid.requests import OAuthError, source_of
from verbund.provider import metadata, pages
from verbund.provider.authorization import Ask, Authorization, Redirect
from verbund.provider.forms import Unreadable, fields_of, pairs_of
from verbund.provider.leaving import Leaving, Left
from verbund.provider.requests import USERNAME_LENGTH_MAX, Unanswerable
from verbund.provider.state import Issuer
from verbund.provider.texts import Texts, texts_for
from verbund.provider.tokens import Tokens
from verbund.style.sheets import SIGN_ON

LOGIN, LEAVE = "/login", "/leave"  # where the forms of the pages go
BROWSER_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
BROWSER_KEY_BYTES = 32
PUBLIC_HEADERS = {"Cache-Control": "public, max-age=300", "X-Content-Type-Options": "nosniff"}
# Shorter than it takes to look twice: a key that is made anew must not be missed for long.
KEYS_HEADERS = PUBLIC_HEADERS | {"Cache-Control": "public, max-age=60"}
PRIVATE_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"}
HANGING_UP = {"Connection": "close"}  # after a body that was not read to its end, which may have none
SEE_OTHER = 303
REFERRER = "no-referrer"
REDIRECT_HEADERS = HEADERS | {"Referrer-Policy": REFERRER}

Handler = Callable[[Request], Awaitable[Response]]
ASGIApp = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]
log = structlog.get_logger(__name__)


def application(issuers: Sequence[Issuer]) -> ASGIApp:
    """The ASGI application of all issuers."""
    routes = [Route(pages.STYLE_PATH, style, methods=["GET"])]
    for issuer in issuers:
        routes += Endpoints(issuer).routes()
    return logged(Starlette(routes=routes, exception_handlers={Exception: failed}))


async def style(_request: Request) -> Response:
    """The style sheet of every page."""
    return Response(SIGN_ON, media_type="text/css", headers=PUBLIC_HEADERS)


class Endpoints:
    """The endpoints of one issuer."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._organisation = issuer.organisation
        self._path = f"/{issuer.organisation.provider_id}"
        self._authorization = Authorization(issuer)
        self._tokens = Tokens(issuer)
        self._leaving = Leaving(issuer, self._tokens)
        # __Host-: the browser takes them over TLS only, and gives them back to this host only (RFC 6265bis).
        self._session_cookie = f"__Host-{issuer.organisation.provider_id}-session"
        self._browser_cookie = f"__Host-{issuer.organisation.provider_id}-browser"

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            self._route(metadata.CONFIGURATION, self._configuration, "GET"),
            self._route(metadata.KEYS, self._keys, "GET"),
            self._route(metadata.AUTHORIZE, self._page(self._authorize), "GET", "POST"),
            self._route(LOGIN, self._page(self._login), "POST"),
            self._route(metadata.TOKEN, self._token, "POST"),
            self._route(metadata.USERINFO, self._userinfo, "GET", "POST"),
            self._route(metadata.END_SESSION, self._page(self._end_session), "GET", "POST"),
            self._route(LEAVE, self._page(self._leave), "POST"),
        ]

    def _route(self, path: str, handler: Handler, *methods: str) -> Route:
        return Route(self._path + path, handler, methods=list(methods))

    def _page(self, handler: Handler) -> Handler:
        """A route for browsers: what cannot be answered is said on a page."""

        async def answering(request: Request) -> Response:
            try:
                return await handler(request)
            except Unanswerable as refusal:
                return page(pages.refusal(texts_of(request), refusal.reason), status=400)
            except Unreadable as refusal:
                response = page(pages.refusal(texts_of(request), refusal.reason), status=refusal.status)
                response.headers.update(HANGING_UP)
                return response

        return answering

    async def _configuration(self, _request: Request) -> Response:
        return JSONResponse(metadata.configuration(self._issuer), headers=PUBLIC_HEADERS)

    async def _keys(self, _request: Request) -> Response:
        content = metadata.key_set(self._issuer)
        return JSONResponse(content, headers=KEYS_HEADERS, media_type="application/jwk-set+json")

    async def _authorize(self, request: Request) -> Response:
        pairs, browser = await pairs_of(request), self._browser_of(request)
        return self._shown(
            request, browser, self._authorization.begin(pairs, session=self._session_of(request), browser=browser)
        )

    async def _login(self, request: Request) -> Response:
        fields, browser = await fields_of(request), self._browser_of(request)
        form = fields.get("form", "")
        if "cancel" in fields:
            return self._shown(request, browser, self._authorization.cancel(form, browser=browser))
        username = fields.get("username", "")[:USERNAME_LENGTH_MAX].strip()
        password = fields.get("password", "")
        outcome = self._authorization.sign_in(form, browser=browser, username=username, password=password)
        problem = outcome.problem if isinstance(outcome, Ask) else ""
        log.info("sign-in", organisation=self._organisation.name, outcome=problem or "done")
        return self._shown(request, browser, outcome)

    async def _token(self, request: Request) -> Response:
        tried = "authorization" in request.headers
        try:
            answer = self._tokens.exchange(await fields_of(request), authenticated=tried)
        except Unreadable as refusal:
            error = OAuthError("invalid_request", "the body must be a small form", status=refusal.status)
            return refused(error, HANGING_UP)
        except OAuthError as error:
            return refused(error, {"WWW-Authenticate": "Basic"} if tried else {})
        return JSONResponse(answer, headers=PRIVATE_HEADERS)

    async def _userinfo(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        claims = self._tokens.claims(token.strip()) if scheme.lower() == "bearer" else None
        if claims is not None:
            return JSONResponse(claims, headers=PRIVATE_HEADERS)
        challenge = 'Bearer error="invalid_token"' if scheme else "Bearer"
        return Response(status_code=401, headers=PRIVATE_HEADERS | {"WWW-Authenticate": challenge})

    async def _end_session(self, request: Request) -> Response:
        pairs, browser, session = await pairs_of(request), self._browser_of(request), self._session_of(request)
        outcome = self._leaving.begin(pairs, session=session, browser=browser)
        if isinstance(outcome, Left):
            return self._left(request, outcome)
        action = self._path + LEAVE
        shown = pages.sign_out(texts_of(request), self._organisation, form=outcome.form, action=action)
        return self._remembering(page(shown, destination=outcome.destination), browser)

    async def _leave(self, request: Request) -> Response:
        form = (await fields_of(request)).get("form", "")
        browser, session = self._browser_of(request), self._session_of(request)
        return self._left(request, self._leaving.confirmed(form, session=session, browser=browser))

    def _shown(self, request: Request, browser: str, outcome: Redirect | Ask) -> Response:
        """What the browser gets: the way back to the client, or the form."""
        if isinstance(outcome, Redirect):
            response: Response = RedirectResponse(outcome.location, SEE_OTHER, headers=REDIRECT_HEADERS)
            if outcome.session:
                self._set_cookie(response, self._session_cookie, outcome.session, "lax")
            return response
        texts = texts_for(outcome.request.ui_locales, request.headers.get("accept-language", ""))
        action, authorize = self._path + LOGIN, self._path + metadata.AUTHORIZE
        shown = pages.login(texts, self._organisation, outcome, action=action, authorize=authorize)
        status = 429 if outcome.wait_seconds else 400 if outcome.problem else 200
        response = page(shown, destination=outcome.request.address.redirect_uri, status=status)
        if outcome.wait_seconds:
            response.headers["Retry-After"] = str(outcome.wait_seconds)
        return self._remembering(response, browser)

    def _left(self, request: Request, outcome: Left) -> Response:
        """The session has ended, for the browser too."""
        if outcome.location:
            response: Response = RedirectResponse(outcome.location, SEE_OTHER, headers=REDIRECT_HEADERS)
        else:
            response = page(pages.signed_out(texts_of(request)))
        response.delete_cookie(self._session_cookie, path="/", secure=True, httponly=True, samesite="lax")
        return response

    def _session_of(self, request: Request) -> str:
        return request.cookies.get(self._session_cookie, "")

    def _browser_of(self, request: Request) -> str:
        """What binds a form to the browser that it was shown to; two windows have the same."""
        found = request.cookies.get(self._browser_cookie, "")
        return found if BROWSER_KEY.fullmatch(found) else secrets.token_urlsafe(BROWSER_KEY_BYTES)

    def _remembering(self, response: Response, browser: str) -> Response:
        self._set_cookie(response, self._browser_cookie, browser, "strict")
        return response

    def _set_cookie(self, response: Response, name: str, value: str, samesite: Any) -> None:
        response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite=samesite)


def texts_of(request: Request) -> Texts:
    """The texts of a page that knows no request of an application."""
    return texts_for("", request.headers.get("accept-language", ""))


def refused(error: OAuthError, headers: Mapping[str, str] | None = None) -> Response:
    """The answer of RFC 6749, section 5.2."""
    log.info("refused", error=error.code)
    described = {"error_description": error.description} if error.description else {}
    content = {"error": error.code} | described
    return JSONResponse(content, status_code=error.status, headers={**PRIVATE_HEADERS, **(headers or {})})


def page(content: str, *, destination: str = "", status: int = 200) -> Response:
    """A page with the headers that close it off."""
    return closed_off(content, source=source_of(destination), status=status, referrer=REFERRER)


async def failed(request: Request, _error: Exception) -> Response:
    """A fault of ours; its cause is logged, and never told."""
    return page(pages.refusal(texts_of(request), "fault"), status=500)


def logged(application: ASGIApp) -> ASGIApp:
    """The application with a line for each request: no query, no headers, no body, and no path that is not ours."""

    async def serving(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        started, status = time.perf_counter(), 0

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await application(scope, receive, sending)
        finally:
            route = getattr(scope.get("route"), "path", "")
            duration_ms = round((time.perf_counter() - started) * 1000, 2)
            log.info("request", method=scope.get("method", ""), route=route, status=status, duration_ms=duration_ms)

    return serving
