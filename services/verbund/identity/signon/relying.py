"""Identity as the relying party of people's providers: what it asks them, and what it believes of what comes back
(OpenID Connect Core 1.0, section 3.1).
"""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.providers.domain import Fault, SignIn, TokenRefused
from verbund.identity.providers.hometoken import ID_TOKEN, HomeToken, HomeTokens
from verbund.identity.signon import requests
from verbund.identity.signon.choices import Choices
from verbund.identity.signon.domain import (
    SIGN_ON_LIFE,
    Browser,
    Choice,
    Unanswerable,
    acting,
    browser_name,
    digest,
    secret,
    told_in,
)
from verbund.identity.signon.outcomes import Redirect
from verbund.identity.signon.requests import SignOnRequest, one
from verbund.identity.signon.store import SignOnStore
from verbund.identity.signon.upstream import RETRY_SECONDS, Upstreams, unreachable
from verbund.identity.tokens.domain import Home
from verbund.identity.tokens.exchange import TokenExchange
from verbund.identity.tokens.times import is_time
from verbund.openid.requests import CHALLENGE_METHOD, Pairs, extended, values
from verbund.resources.names import ProviderName

CALLBACK_PATH = "/oauth2/callback"
SCOPE = "openid profile email"
WAY_BACK_SECONDS = 60.0  # from the sign-in at home until it is looked at

# What providers answer that signed nobody in (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6), by
# who can do something about it. `access_denied` is both: the person cancelled, or the provider does not let them.
DENIED = "access_denied"
IN_TROUBLE = ("server_error", "temporarily_unavailable")
MISFITTING = (
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_response_type",
    "request_not_supported",
    "registration_not_supported",
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """A browser that came back from where it was sent, and what binds the answer to that; `error` is the answer's."""

    request: SignOnRequest
    choice: Choice
    nonce: str
    verifier: str
    code: str
    error: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who a provider says that somebody is."""

    home: Home
    sign_in: SignIn
    auth_time: datetime


class RelyingParty:
    """Sends browsers to providers, and takes them back."""

    def __init__(
        self,
        *,
        issuer: str,
        database: Database,
        store: SignOnStore,
        choices: Choices,
        upstreams: Upstreams,
        home_tokens: HomeTokens,
        exchange: TokenExchange,
        clock: Clock,
    ) -> None:
        self._issuer = issuer
        self._database = database
        self._store = store
        self._choices = choices
        self._upstreams = upstreams
        self._home_tokens = home_tokens
        self._exchange = exchange
        self._clock = clock

    def sent(self, request: SignOnRequest, choice: Choice, browser: Browser, *, hint: str = "") -> Redirect:
        """To the provider, with what binds its answer to this browser and this request.

        `hint` is the person's address, where it is one of that organisation's: no other learns it.
        """
        endpoint = self._upstreams.answering(choice).authorization
        state, nonce, verifier = secret(), secret(), secret()
        with self._database.transaction(acting(browser)) as tx:
            self._store.put(
                tx,
                digest(state),
                request,
                browser=browser_name(browser.key),
                expire_time=self._clock() + SIGN_ON_LIFE,
                provider=choice.provider,
                nonce=nonce,
                verifier=verifier,
            )
        asked = {
            "response_type": "code",
            "client_id": choice.audience,
            "redirect_uri": self._issuer + CALLBACK_PATH,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest(verifier)).rstrip(b"=").decode(),
            "code_challenge_method": CHALLENGE_METHOD,
            "prompt": "login" if "login" in request.prompt else "",
            "max_age": "" if request.max_age_seconds is None else str(request.max_age_seconds),
            "login_hint": hint,
            "ui_locales": request.ui_locales,
        }
        location = extended(endpoint, {name: value for name, value in asked.items() if value})
        return Redirect(location)

    def returned(self, pairs: Pairs, browser: Browser) -> Return:
        """Who comes back, once; raises Unanswerable where this browser was not sent, or somebody else answers."""
        state = one(pairs, "state")
        with self._database.transaction(acting(browser)) as tx:
            found = self._store.take(tx, digest(state), now=self._clock()) if state else None
        if found is None or found["provider"] is None:
            raise Unanswerable("state")
        request = requests.from_row(found["request"])
        with told_in(request.ui_locales):
            choice = self._choices.of(ProviderName(found["provider"]))
            self._refuse_other_issuer(pairs, choice)
        return Return(
            request=request,
            choice=choice,
            nonce=found["nonce"],
            verifier=found["verifier"],
            code=one(pairs, "code"),
            error=next(iter(values(pairs, "error")), ""),
        )

    def vouched(self, back: Return) -> Vouched:
        """Who it is; raises Unanswerable."""
        token = self._token_of(back)
        home, sign_in = self._proven(back.choice, token)
        return Vouched(home, sign_in, auth_time_of(token, back, self._clock()))

    def _refuse_other_issuer(self, pairs: Pairs, choice: Choice) -> None:
        """Raises Unanswerable where somebody else answers than was asked (RFC 9207)."""
        stated = values(pairs, "iss")
        if stated != [choice.issuer] and (stated or self._upstreams.endpoints(choice).names_itself):
            raise Unanswerable("state")

    def _token_of(self, back: Return) -> HomeToken:
        """The ID token for a code, read but not yet believed; raises Unanswerable."""
        if not back.code:
            raise Unanswerable("state")
        text = self._upstreams.id_token(
            back.choice, back.code, verifier=back.verifier, redirect_uri=self._issuer + CALLBACK_PATH
        )
        try:
            token = self._home_tokens.read(text, ID_TOKEN)
        except TokenRefused as refusal:
            raise not_accepted(back.choice, refusal) from None
        if token.jwt.claims.get("nonce") != back.nonce:
            raise Unanswerable("state")
        return token

    def _proven(self, choice: Choice, token: HomeToken) -> tuple[Home, SignIn]:
        """Who it is; raises Unanswerable."""
        try:
            home, sign_in = self._exchange.proven(token)
        except TokenRefused as refusal:
            raise not_accepted(choice, refusal) from None
        if home.provider != choice.provider:
            raise Unanswerable("state")
        return home, sign_in


def auth_time_of(token: HomeToken, back: Return, now: datetime) -> datetime:
    """When the person proved at home who they are; raises Unanswerable where that is longer ago than was asked for."""
    stated = token.jwt.claims.get("auth_time", token.jwt.claims["iat"])
    age_max = 0 if "login" in back.request.prompt else back.request.max_age_seconds
    if not is_time(stated):
        raise Unanswerable("home_refused", who=back.choice.title)
    if age_max is not None and now.timestamp() - stated > age_max + WAY_BACK_SECONDS:
        raise Unanswerable("too_old")
    return datetime.fromtimestamp(min(stated, now.timestamp()), UTC)


def no_sign_in(back: Return) -> Unanswerable:
    """What a person is told whom their provider did not sign in. Its own words are shown to nobody, and kept nowhere:
    whoever leads a browser back may have written them, and they may be about anything, in any language.
    """
    who, error = back.choice.title, back.error
    if error in IN_TROUBLE:
        return Unanswerable("home_in_trouble", who=who, status=503, retry_seconds=RETRY_SECONDS)
    if error in MISFITTING:
        return Unanswerable("home_misfitting", who=who)
    return Unanswerable("home_denied" if error == DENIED else "home_refused", who=who)


def not_accepted(choice: Choice, refusal: TokenRefused) -> Unanswerable:
    """What a person is told whose provider vouches for them in a way that the mesh does not take."""
    log.info("home token refused", fault=refusal.fault.value, issuer=choice.issuer)
    if refusal.fault is Fault.PROVIDER:
        return unreachable(choice)
    reason = "no_role" if refusal.fault in (Fault.ROLES, Fault.REQUIRED_CLAIM) else "home_refused"
    return Unanswerable(reason, who=choice.title, status=403)
