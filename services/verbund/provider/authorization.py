"""The authorization endpoint and the login form (OpenID Connect Core 1.0, section 3.1.2)."""

import hmac
from dataclasses import dataclass
from math import inf

from verbund.openid.requests import OAuthError, Pairs
from verbund.provider.requests import AuthenticationRequest, Unanswerable, address_of, request_of
from verbund.provider.state import Form, Grant, Issuer, Session

WRONG, WAIT = "wrong", "wait"


@dataclass(frozen=True, slots=True)
class Redirect:
    """The browser goes to `location`; `session` is the key of a session that has begun."""

    location: str
    session: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """The person is asked to sign in; `problem` says why once more."""

    request: AuthenticationRequest
    form: str
    username: str = ""
    problem: str = ""
    wait_seconds: int = 0


class Authorization:
    """Answers authentication requests to one issuer."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def begin(self, pairs: Pairs, *, session: str, browser: str) -> Redirect | Ask:
        """The answer to a request, or the form to sign in with; raises Unanswerable.

        `session` and `browser` are the keys that the browser sent, `browser` a new one where it had none.
        """
        address = address_of(pairs, self._issuer.client)
        try:
            request = request_of(pairs, address)
        except OAuthError as error:
            described = {"error_description": error.description} if error.description else {}
            return Redirect(address.url(self._issuer.url, {"error": error.code} | described))
        found = self._good_enough(request, session)
        if found is not None:
            return self._granted(request, found)
        if request.prompt == "none":
            return Redirect(address.url(self._issuer.url, {"error": "login_required"}))
        return self._ask(request, browser, username=request.login_hint)

    def sign_in(self, form: str, *, browser: str, username: str, password: str) -> Redirect | Ask:
        """What comes of a form that was sent; raises Unanswerable for one that is not this browser's, used or old."""
        request = self._taken(form, browser)
        wait_seconds = self._issuer.attempts.seconds_to_wait(username)
        if wait_seconds:
            return self._ask(request, browser, username=username, problem=WAIT, wait_seconds=wait_seconds)
        account = self._issuer.accounts.proven(username, password)
        if account is None:
            self._issuer.attempts.failed(username)
            return self._ask(request, browser, username=username, problem=WRONG)
        session = Session(account, int(self._issuer.now()))
        return self._granted(request, session, self._issuer.sessions.put(session))

    def cancel(self, form: str, *, browser: str) -> Redirect:
        """The person does not want to sign in; raises Unanswerable as `sign_in` does."""
        request = self._taken(form, browser)
        return Redirect(request.address.url(self._issuer.url, {"error": "access_denied"}))

    def _good_enough(self, request: AuthenticationRequest, key: str) -> Session | None:
        """The browser's session, where the request takes it."""
        session = self._issuer.sessions.get(key)
        if session is None or request.prompt == "login":
            return None
        age_max = inf if request.max_age_seconds is None else request.max_age_seconds
        return session if self._issuer.now() - session.auth_time <= age_max else None

    def _taken(self, key: str, browser: str) -> AuthenticationRequest:
        form = self._issuer.forms.take(key)
        if form is None or form.request is None or not hmac.compare_digest(form.browser.encode(), browser.encode()):
            raise Unanswerable("form")
        return form.request

    def _granted(self, request: AuthenticationRequest, session: Session, key: str = "") -> Redirect:
        code = self._issuer.codes.put(Grant(request, session))
        return Redirect(request.address.url(self._issuer.url, {"code": code}), key)

    def _ask(
        self,
        request: AuthenticationRequest,
        browser: str,
        *,
        username: str,
        problem: str = "",
        wait_seconds: int = 0,
    ) -> Ask:
        form = self._issuer.forms.put(Form(browser=browser, request=request))
        return Ask(request, form, username, problem, wait_seconds)
