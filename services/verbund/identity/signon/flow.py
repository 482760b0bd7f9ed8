"""The way of a browser: to the choice of an organisation, to its provider, back, and with a code to the client."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import inf

import structlog

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.keys.publication import Publisher
from verbund.identity.providers.domain import Fault, SignIn, TokenRefused
from verbund.identity.providers.hometoken import ID_TOKEN, HomeToken, HomeTokens
from verbund.identity.signon import requests
from verbund.identity.signon.domain import (
    CODE_LIFE,
    SESSION_LIFE,
    SID_BYTES,
    SIGN_ON_LIFE,
    Choice,
    Key,
    Party,
    Session,
    Unanswerable,
    browser_name,
    digest,
    secret,
)
from verbund.identity.signon.parties import Parties
from verbund.identity.signon.requests import SignOnRequest, one
from verbund.identity.signon.store import SignOnStore
from verbund.identity.signon.upstream import Upstreams
from verbund.identity.tokens.domain import Home
from verbund.identity.tokens.exchange import TokenExchange
from verbund.identity.tokens.times import is_time
from verbund.openid.requests import CHALLENGE_METHOD, OAuthError, Pairs, extended, values
from verbund.policy.table import ASSURANCE_NAMES
from verbund.resources.names import ProviderName
from verbund.serving.call import Call

CALLBACK_PATH = "/oauth2/callback"
SCOPE = "openid profile email"
WAY_BACK_SECONDS = 60.0  # from the sign-in at home until it is looked at
AUTHORIZE = "identity.signon.authorize"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Browser:
    """What a browser sent of itself: the keys in its cookies, the first a new one where it had none."""

    key: str
    session: str = ""
    remembered: str = ""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The browser goes to `location`; `session` is the key of a session that has begun, `chosen` who was chosen."""

    location: str
    session: str = ""
    chosen: str = ""


@dataclass(frozen=True, slots=True)
class Choose:
    """The person is asked where they sign in."""

    request: SignOnRequest
    form: str
    choices: Sequence[Choice]


@dataclass(frozen=True, slots=True)
class Consent:
    """The person is asked whether a member may learn who they are."""

    request: SignOnRequest
    form: str
    party: Party
    session: str = ""


Outcome = Redirect | Choose | Consent


class SignOn:
    """Takes browsers through a sign-on."""

    def __init__(
        self,
        *,
        issuer: str,
        database: Database,
        store: SignOnStore,
        parties: Parties,
        upstreams: Upstreams,
        home_tokens: HomeTokens,
        exchange: TokenExchange,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self._issuer = issuer
        self._database = database
        self._store = store
        self._parties = parties
        self._upstreams = upstreams
        self._home_tokens = home_tokens
        self._exchange = exchange
        self._publisher = publisher
        self._clock = clock

    def begin(self, pairs: Pairs, browser: Browser) -> Outcome:
        """The answer to a request of a client; raises Unanswerable."""
        party = self._parties.find(one(pairs, "client_id"))
        if party is None:
            raise Unanswerable("client")
        redirect_uri = requests.redirect_uri_of(pairs, party)
        try:
            request = requests.request_of(pairs, party)
        except OAuthError as error:
            return self._error_to(redirect_uri, one(pairs, "state"), error)
        session = self.session(browser)
        if session is not None and self._good_enough(request, session):
            return self._continued(request, party, session, browser)
        if "none" in request.prompt:
            return self._error_to(redirect_uri, request.state, OAuthError("login_required"))
        choices = self._choices()
        decided = None if "select_account" in request.prompt else decided_by(request, browser.remembered, choices)
        if decided is not None:
            return self._sent_home(request, decided, browser)
        return Choose(request, self._put(request, browser), choices)

    def choose(self, form: str, wanted: str, browser: Browser) -> Outcome:
        """Goes on to the provider that the person chose; raises Unanswerable for what is not this browser's."""
        with self._database.read(self._as_browser(browser)) as rows:
            found = self._store.look(rows, digest(form), now=self._clock())
        if found is None:
            raise Unanswerable("form")
        request, choices = requests.from_row(found["request"]), self._choices()
        chosen = next((choice for choice in choices if choice.provider == wanted), None)
        if chosen is None:
            return Choose(request, form, choices)
        return self._sent_home(request, chosen, browser)

    def back(self, pairs: Pairs, browser: Browser) -> Outcome:
        """The person comes back from their provider; raises Unanswerable."""
        state = one(pairs, "state")
        with self._database.transaction(self._as_browser(browser)) as tx:
            found = self._store.take(tx, digest(state), now=self._clock()) if state else None
        if found is None or found["provider"] is None:
            raise Unanswerable("state")
        request = requests.from_row(found["request"])
        choice = self.choice(ProviderName(found["provider"]))
        self._refuse_other_issuer(pairs, choice)
        party = self._parties.find(request.client)
        if party is None:
            raise Unanswerable("client")
        if errors := values(pairs, "error"):
            return self._refused_at_home(request, party, choice, errors[0])
        token = self._token_of(choice, one(pairs, "code"), verifier=found["verifier"], nonce=found["nonce"])
        home, sign_in = self._proven(choice, token)
        session, key = self._opened(home, sign_in, auth_time_of(token, request, self._clock()), browser)
        log.info("signed on", client=party.client, organisation=session.organisation)
        outcome = self._continued(request, party, session, replace(browser, session=key))
        return replace(outcome, session=key) if isinstance(outcome, Redirect | Consent) else outcome

    def consent(self, form: str, browser: Browser, *, given: bool) -> Outcome:
        """What the person answered; raises Unanswerable for what is not this browser's, or where nobody is there."""
        with self._database.transaction(self._as_browser(browser)) as tx:
            found = self._store.take(tx, digest(form), now=self._clock())
        session = self.session(browser)
        if found is None or session is None:
            raise Unanswerable("form")
        request = requests.from_row(found["request"])
        if not given:
            return self._error_to(request.redirect_uri, request.state, OAuthError("access_denied"))
        return self._granted(request, session)

    def _error_to(self, redirect_uri: str, state: str, error: OAuthError) -> Redirect:
        """An error that the client is told (RFC 6749, section 4.1.2.1)."""
        described = {"error_description": error.description} if error.description else {}
        stated = {"state": state} if state else {}
        answer = {"error": error.code, **described, **stated, "iss": self._issuer}
        return Redirect(extended(redirect_uri, answer))

    def _good_enough(self, request: SignOnRequest, session: Session) -> bool:
        """Whether the request takes the session that there is."""
        if {"login", "select_account"} & set(request.prompt):
            return False
        age_max = inf if request.max_age_seconds is None else request.max_age_seconds
        return (self._clock() - session.auth_time).total_seconds() <= age_max

    def _continued(
        self, request: SignOnRequest, party: Party, session: Session, browser: Browser
    ) -> Redirect | Consent:
        """The way on with a session: to the client, or to the question whether it may be told."""
        if party.is_member and not self._consented(request, session):
            if "none" in request.prompt:
                return self._error_to(request.redirect_uri, request.state, OAuthError("consent_required"))
            return Consent(request, self._put(request, browser), party)
        return self._granted(request, session)

    def _consented(self, request: SignOnRequest, session: Session) -> bool:
        if "consent" in request.prompt:
            return False
        with self._database.read(Call.internal(AUTHORIZE, organisation=session.organisation)) as rows:
            return self._store.consented(rows, session.session, request.client, request.scope)

    def _granted(self, request: SignOnRequest, session: Session) -> Redirect:
        """Back to the client with a code."""
        code, now = Key.new(session.organisation), self._clock()
        with self._database.transaction(Call.internal(AUTHORIZE, organisation=session.organisation)) as tx:
            self._store.grant(
                tx,
                session,
                request,
                sid=secrets.token_urlsafe(SID_BYTES),
                code=code.digest,
                now=now,
                expire_time=now + CODE_LIFE,
            )
        return Redirect(request.url(self._issuer, {"code": code.text}))

    def _sent_home(self, request: SignOnRequest, choice: Choice, browser: Browser) -> Redirect:
        """To the provider, with what binds its answer to this browser and this request."""
        endpoint = self._upstreams.endpoints(choice).authorization
        state, nonce, verifier = secret(), secret(), secret()
        with self._database.transaction(self._as_browser(browser)) as tx:
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
            "login_hint": request.login_hint,
            "ui_locales": request.ui_locales,
        }
        location = extended(endpoint, {name: value for name, value in asked.items() if value})
        return Redirect(location, chosen=choice.provider)

    def _refuse_other_issuer(self, pairs: Pairs, choice: Choice) -> None:
        """Raises Unanswerable where somebody else answers than was asked (RFC 9207)."""
        stated = values(pairs, "iss")
        if stated != [choice.issuer] and (stated or self._upstreams.endpoints(choice).names_itself):
            raise Unanswerable("state")

    def _refused_at_home(self, request: SignOnRequest, party: Party, choice: Choice, error: str) -> Redirect:
        """The provider did not sign the person in: its words go nowhere, for anybody could have written them."""
        log.info("no sign-on at home", issuer=choice.issuer)
        if error == "access_denied" and party.is_member:
            return self._error_to(request.redirect_uri, request.state, OAuthError("access_denied"))
        raise Unanswerable("home_cancelled" if error == "access_denied" else "home_refused", who=choice.title)

    def _token_of(self, choice: Choice, code: str, *, verifier: str, nonce: str) -> HomeToken:
        """The ID token for a code, read but not yet believed; raises Unanswerable."""
        if not code:
            raise Unanswerable("state")
        text = self._upstreams.id_token(choice, code, verifier=verifier, redirect_uri=self._issuer + CALLBACK_PATH)
        try:
            token = self._home_tokens.read(text, ID_TOKEN)
        except TokenRefused as refusal:
            raise not_accepted(choice, refusal) from None
        if token.jwt.claims.get("nonce") != nonce:
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

    def _opened(self, home: Home, sign_in: SignIn, auth_time: datetime, browser: Browser) -> tuple[Session, str]:
        """The session that begins or, for the same person, goes on with a new key; anybody else's ends."""
        now, before = self._clock(), self.session(browser)
        key = Key.new(home.organisation)
        person = self._exchange.person(home, sign_in)
        same = before is not None and (before.person, before.provider) == (person, home.provider)
        session = Session(
            session=before.session if before is not None and same else secrets.token_urlsafe(SID_BYTES),
            organisation=home.organisation,
            person=person,
            provider=home.provider,
            roles=sign_in.roles,
            assurance=ASSURANCE_NAMES[sign_in.assurance],
            auth_time=auth_time,
            expire_time=now + SESSION_LIFE,
        )
        with self._database.transaction(Call.internal(AUTHORIZE, organisation=home.organisation)) as tx:
            if same:
                self._store.renew(tx, session, key.digest)
            else:
                self._store.open(tx, session, key.digest, now=now)
        if before is not None and not same:
            self.end(before)
        return session, key.text

    def end(self, session: Session) -> None:
        """Ends a session, and whatever clients got of it."""
        now = self._clock()
        with self._database.transaction(Call.internal(AUTHORIZE, organisation=session.organisation)) as tx:
            self._store.end_session(tx, session.session, now=now)
            self._store.end_grants(tx, session.session, now=now)
        self._publisher.publish_soon()

    def session(self, browser: Browser) -> Session | None:
        """The session of a browser, where it goes on."""
        key = Key.read(browser.session)
        if key is None:
            return None
        with self._database.read(Call.internal(AUTHORIZE, organisation=key.organisation)) as rows:
            return self._store.session(rows, key.digest, now=self._clock())

    def _choices(self) -> Sequence[Choice]:
        with self._database.read(Call.internal(AUTHORIZE)) as rows:
            found = self._store.choices(rows)
        if not found:
            raise Unanswerable("nobody")
        return found

    def choice(self, provider: ProviderName) -> Choice:
        """The provider that somebody was sent to; raises Unanswerable where it is active no more."""
        for choice in self._choices():
            if choice.provider == provider:
                return choice
        raise Unanswerable("suspended")

    def _put(self, request: SignOnRequest, browser: Browser) -> str:
        """Keeps a request while its person reads a page; the key of the page's form."""
        form = secret()
        with self._database.transaction(self._as_browser(browser)) as tx:
            self._store.put(
                tx, digest(form), request, browser=browser_name(browser.key), expire_time=self._clock() + SIGN_ON_LIFE
            )
        return form

    def _as_browser(self, browser: Browser) -> Call:
        return Call.internal(AUTHORIZE, organisation=browser_name(browser.key))


def decided_by(request: SignOnRequest, remembered: str, choices: Sequence[Choice]) -> Choice | None:
    """Where the person signs in, where that needs no question: by the client's hint, from the last time, or for want
    of another.
    """
    named = [choice for choice in choices if request.login_hint in (choice.organisation, choice.provider)]
    known = [choice for choice in choices if choice.provider == remembered]
    for found in (named, known, choices):
        if len(found) == 1:
            return found[0]
    return None


def auth_time_of(token: HomeToken, request: SignOnRequest, now: datetime) -> datetime:
    """When the person proved at home who they are; raises Unanswerable where that is longer ago than was asked for."""
    stated = token.jwt.claims.get("auth_time", token.jwt.claims["iat"])
    age_max = 0 if "login" in request.prompt else request.max_age_seconds
    if not is_time(stated):
        raise Unanswerable("home_refused")
    if age_max is not None and now.timestamp() - stated > age_max + WAY_BACK_SECONDS:
        raise Unanswerable("too_old")
    return datetime.fromtimestamp(min(stated, now.timestamp()), UTC)


def not_accepted(choice: Choice, refusal: TokenRefused) -> Unanswerable:
    """What a person is told whose provider vouches for them in a way that the mesh does not take."""
    log.info("home token refused", fault=refusal.fault.value, issuer=choice.issuer)
    if refusal.fault is Fault.PROVIDER:
        return Unanswerable("home_down", who=choice.title, status=503, retry_seconds=30)
    reason = "no_role" if refusal.fault in (Fault.ROLES, Fault.REQUIRED_CLAIM) else "home_refused"
    return Unanswerable(reason, who=choice.title, status=403)
