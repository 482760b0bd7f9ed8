"""Sessions of people in browsers: found by their cookie, begun by a sign-in at home, ended everywhere."""

import secrets

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.keys.publication import Publisher
from verbund.identity.signon.domain import AUTHORIZE, SESSION_LIFE, SID_BYTES, Browser, Key, Session
from verbund.identity.signon.relying import Vouched
from verbund.identity.signon.store import SignOnStore
from verbund.identity.tokens.exchange import TokenExchange
from verbund.policy.table import ASSURANCE_NAMES
from verbund.serving.call import Call


class Sessions:
    """Keeps one session a browser."""

    def __init__(
        self,
        *,
        database: Database,
        store: SignOnStore,
        exchange: TokenExchange,
        publisher: Publisher,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._exchange = exchange
        self._publisher = publisher
        self._clock = clock

    def of(self, browser: Browser) -> Session | None:
        """The session of a browser, where it goes on."""
        key = Key.read(browser.session)
        if key is None:
            return None
        with self._database.read(Call.internal(AUTHORIZE, organisation=key.organisation)) as rows:
            return self._store.session(rows, key.digest, now=self._clock())

    def opened(self, vouched: Vouched, browser: Browser) -> tuple[Session, str]:
        """The session that begins or, for the same person, goes on with a new key; anybody else's ends."""
        home, sign_in = vouched.home, vouched.sign_in
        now, before = self._clock(), self.of(browser)
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
            auth_time=vouched.auth_time,
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
