"""The way of a browser: to the choice of an organisation, to its provider, back, and with a code to the client."""

import secrets
from dataclasses import replace
from math import inf

import structlog

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.signon import requests
from verbund.identity.signon.choices import Choices, decided_by, domain_of
from verbund.identity.signon.domain import (
    AUTHORIZE,
    CODE_LIFE,
    SID_BYTES,
    SIGN_ON_LIFE,
    Browser,
    Key,
    Party,
    Session,
    Unanswerable,
    acting,
    browser_name,
    digest,
    secret,
    told_in,
)
from verbund.identity.signon.outcomes import Choose, Consent, Found, Outcome, Redirect
from verbund.identity.signon.parties import Parties
from verbund.identity.signon.relying import DENIED, RelyingParty, Return, no_sign_in
from verbund.identity.signon.requests import SignOnRequest, one
from verbund.identity.signon.sessions import Sessions
from verbund.identity.signon.store import SignOnStore
from verbund.openid.requests import OAuthError, Pairs, answer_url
from verbund.serving.call import Call

log = structlog.get_logger(__name__)


class SignOn:
    """Takes browsers through a sign-on."""

    def __init__(
        self,
        *,
        issuer: str,
        database: Database,
        store: SignOnStore,
        parties: Parties,
        choices: Choices,
        relying_party: RelyingParty,
        sessions: Sessions,
        clock: Clock,
    ) -> None:
        self._issuer = issuer
        self._database = database
        self._store = store
        self._parties = parties
        self._choices = choices
        self._relying_party = relying_party
        self._sessions = sessions
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
        session = self._sessions.of(browser)
        if session is not None and self._good_enough(request, session):
            return self._continued(request, party, session, browser)
        if "none" in request.prompt:
            return self._error_to(redirect_uri, request.state, OAuthError("login_required"))
        named = self._choices.by_address(request.login_hint)
        choices = named or self._choices.all()
        decided = None if "select_account" in request.prompt else decided_by(request, browser.remembered, choices)
        if decided is not None:
            return self._relying_party.sent(request, decided, browser, hint=request.login_hint if named else "")
        return Choose(request, self._put(request, browser), choices)

    def choose(self, form: str, wanted: str, browser: Browser) -> Outcome:
        """Goes on to the provider that the person chose; raises Unanswerable for what is not this browser's."""
        request = self._asked(form, browser)
        with told_in(request.ui_locales):
            choices = self._choices.all()
            chosen = next((choice for choice in choices if choice.provider == wanted), None)
            if chosen is None:
                return Choose(request, form, choices)
            return self._relying_party.sent(request, chosen, browser)

    def find(self, form: str, address: str, browser: Browser) -> Outcome:
        """Goes on to where people with this address sign in; raises Unanswerable for what is not this browser's."""
        request = self._asked(form, browser)
        with told_in(request.ui_locales):
            named = self._choices.by_address(address)
            if len(named) == 1:
                return self._relying_party.sent(request, named[0], browser, hint=address.strip())
            missing = Found.NOBODY if domain_of(address) else Found.NO_ADDRESS
            return Choose(request, form, named or self._choices.all(), Found.SEVERAL if named else missing)

    def back(self, pairs: Pairs, browser: Browser) -> Outcome:
        """The person comes back from their provider; raises Unanswerable."""
        back = self._relying_party.returned(pairs, browser)
        with told_in(back.request.ui_locales):
            return self._came_back(back, browser)

    def consent(self, form: str, browser: Browser, *, given: bool) -> Outcome:
        """What the person answered; raises Unanswerable for what is not this browser's, or where nobody is there."""
        with self._database.transaction(acting(browser)) as tx:
            found = self._store.take(tx, digest(form), now=self._clock())
        session = self._sessions.of(browser)
        if found is None or session is None:
            raise Unanswerable("form")
        request = requests.from_row(found["request"])
        if not given:
            return self._error_to(request.redirect_uri, request.state, OAuthError("access_denied"))
        return self._granted(request, session)

    def _error_to(self, redirect_uri: str, state: str, error: OAuthError) -> Redirect:
        """An error that the client is told (RFC 6749, section 4.1.2.1)."""
        described = {"error_description": error.description} if error.description else {}
        answer = {"error": error.code, **described}
        return Redirect(answer_url(redirect_uri, answer, state=state, issuer=self._issuer))

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

    def _came_back(self, back: Return, browser: Browser) -> Redirect | Consent:
        """The way on of somebody whose provider answered."""
        party = self._parties.find(back.request.client)
        if party is None:
            raise Unanswerable("client")
        if back.error:
            return self._refused_at_home(back, party)
        session, key = self._sessions.opened(self._relying_party.vouched(back), browser)
        log.info("signed on", client=party.client, organisation=session.organisation)
        outcome = self._continued(back.request, party, session, replace(browser, session=key))
        return replace(outcome, session=key, provider=back.choice.provider)

    def _refused_at_home(self, back: Return, party: Party) -> Redirect:
        """The provider did not sign the person in: a member is told that somebody declined, else the person why."""
        refused = no_sign_in(back)
        log.info("no sign-on at home", issuer=back.choice.issuer, reason=refused.reason)
        if back.error == DENIED and party.is_member:
            return self._error_to(back.request.redirect_uri, back.request.state, OAuthError(DENIED))
        raise refused

    def _asked(self, form: str, browser: Browser) -> SignOnRequest:
        """The request whose page this browser has; raises Unanswerable."""
        with self._database.read(acting(browser)) as rows:
            found = self._store.look(rows, digest(form), now=self._clock())
        if found is None:
            raise Unanswerable("form")
        return requests.from_row(found["request"])

    def _put(self, request: SignOnRequest, browser: Browser) -> str:
        """Keeps a request while its person reads a page; the key of the page's form."""
        form = secret()
        with self._database.transaction(acting(browser)) as tx:
            self._store.put(
                tx, digest(form), request, browser=browser_name(browser.key), expire_time=self._clock() + SIGN_ON_LIFE
            )
        return form
