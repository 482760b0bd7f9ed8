"""Sign-ons, sessions and grants in PostgreSQL. A statement sees one browser's, or one organisation's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from verbund.database.rows import Rows, Transaction
from verbund.identity.signon.domain import Choice, Grant, Party, Session
from verbund.identity.signon.requests import SignOnRequest
from verbund.resources.names import OrganisationName, ProviderName, SystemName

CHOICES = "SELECT provider, organisation, title, provider_title, issuer, audience FROM identity.sign_on_choices()"
CHOICES_OF = """
    SELECT provider, organisation, title, provider_title, issuer, audience
    FROM identity.sign_on_choices_of(%(email_domain)s)
"""
PARTY = """
    SELECT s.name AS client, s.title, s.organisation, o.title AS organisation_title, s.redirect_uris,
        s.post_logout_redirect_uris, s.public_client
    FROM identity.systems s JOIN identity.organisations o ON o.name = s.organisation
    WHERE s.name = %(client)s AND s.state = 'active' AND o.state = 'active' AND cardinality(s.redirect_uris) > 0
"""
PUT = """
    INSERT INTO identity.sign_ons (key_digest, browser, request, provider, nonce, verifier, expire_time)
    VALUES (%(key_digest)s, %(browser)s, %(request)s, %(provider)s, %(nonce)s, %(verifier)s, %(expire_time)s)
"""
LOOK = """
    SELECT request, provider, nonce, verifier FROM identity.sign_ons
    WHERE key_digest = %(key_digest)s AND expire_time > %(now)s
"""
TAKE = """
    DELETE FROM identity.sign_ons WHERE key_digest = %(key_digest)s AND expire_time > %(now)s
    RETURNING request, provider, nonce, verifier
"""
SESSION = """
    SELECT s.session, s.organisation, s.person, s.provider, s.roles, s.assurance, s.auth_time, s.expire_time
    FROM identity.sessions s JOIN identity.providers p ON p.name = s.provider
    JOIN identity.organisations o ON o.name = s.organisation
    WHERE s.key_digest = %(key_digest)s AND s.end_time IS NULL AND s.expire_time > %(now)s
    AND p.state = 'active' AND o.state = 'active'
"""
OPEN = """
    INSERT INTO identity.sessions (session, key_digest, organisation, person, provider, roles, assurance, auth_time,
        create_time, expire_time)
    VALUES (%(session)s, %(key_digest)s, %(organisation)s, %(person)s, %(provider)s, %(roles)s, %(assurance)s,
        %(auth_time)s, %(now)s, %(expire_time)s)
"""
RENEW = """
    UPDATE identity.sessions
    SET key_digest = %(key_digest)s, roles = %(roles)s, assurance = %(assurance)s, auth_time = %(auth_time)s,
        expire_time = %(expire_time)s
    WHERE session = %(session)s AND end_time IS NULL
"""
END_SESSION = "UPDATE identity.sessions SET end_time = %(now)s WHERE session = %(session)s AND end_time IS NULL"
END_GRANTS = "UPDATE identity.sign_on_grants SET end_time = %(now)s WHERE session = %(session)s AND end_time IS NULL"
END_GRANT = "UPDATE identity.sign_on_grants SET end_time = %(now)s WHERE sid = %(sid)s AND end_time IS NULL"
SESSION_OF = "SELECT session FROM identity.sign_on_grants WHERE sid = %(sid)s"
CONSENTED = """
    SELECT sid FROM identity.sign_on_grants
    WHERE session = %(session)s AND client = %(client)s AND scope @> %(scope)s LIMIT 1
"""
GRANT = """
    INSERT INTO identity.sign_on_grants (sid, organisation, session, client, redirect_uri, challenge, nonce, scope,
        code_digest, code_expire_time, refresh_count, create_time)
    VALUES (%(sid)s, %(organisation)s, %(session)s, %(client)s, %(redirect_uri)s, %(challenge)s, %(nonce)s, %(scope)s,
        %(code_digest)s, %(code_expire_time)s, 0, %(now)s)
"""
BY_CODE = """
    SELECT g.sid, g.organisation, g.client, g.redirect_uri, g.challenge, g.nonce, g.scope, g.code_expire_time,
        g.code_use_time, g.refresh_count, g.refresh_time, s.person, s.provider, s.roles, s.assurance, s.auth_time,
        s.expire_time AS session_expire_time,
        g.end_time IS NULL AND s.end_time IS NULL AND s.expire_time > %(now)s AND p.state = 'active'
            AND o.state = 'active' AS alive,
        greatest(p.resume_time, o.resume_time) AS resume_time,
        (SELECT k.kid FROM identity.signing_keys k WHERE k.state = 'signing') AS signing_kid
    FROM identity.sign_on_grants g JOIN identity.sessions s ON s.session = g.session
    JOIN identity.providers p ON p.name = s.provider JOIN identity.organisations o ON o.name = s.organisation
    WHERE g.code_digest = %(code_digest)s FOR UPDATE OF g
"""
BY_SID = """
    SELECT g.sid, g.organisation, g.client, g.redirect_uri, g.challenge, g.nonce, g.scope, g.code_expire_time,
        g.code_use_time, g.refresh_count, g.refresh_time, s.person, s.provider, s.roles, s.assurance, s.auth_time,
        s.expire_time AS session_expire_time,
        g.end_time IS NULL AND s.end_time IS NULL AND s.expire_time > %(now)s AND p.state = 'active'
            AND o.state = 'active' AS alive,
        greatest(p.resume_time, o.resume_time) AS resume_time,
        (SELECT k.kid FROM identity.signing_keys k WHERE k.state = 'signing') AS signing_kid
    FROM identity.sign_on_grants g JOIN identity.sessions s ON s.session = g.session
    JOIN identity.providers p ON p.name = s.provider JOIN identity.organisations o ON o.name = s.organisation
    WHERE g.sid = %(sid)s FOR UPDATE OF g
"""
USE_CODE = "UPDATE identity.sign_on_grants SET code_use_time = %(now)s WHERE sid = %(sid)s"
ROTATE = """
    UPDATE identity.sign_on_grants SET refresh_count = refresh_count + 1, refresh_time = %(now)s WHERE sid = %(sid)s
"""


class SignOnStore:
    """Reads and writes what browsers are under way with, and what came of it; one method, one statement."""

    def choices(self, rows: Rows) -> Sequence[Choice]:
        """Where people can sign in, by title."""
        return [Choice(**row) for row in rows.all(CHOICES)]

    def choices_of(self, rows: Rows, email_domain: str) -> Sequence[Choice]:
        """Where people with addresses of this domain can sign in: at one organisation, or nowhere."""
        return [Choice(**row) for row in rows.all(CHOICES_OF, email_domain=email_domain)]

    def party(self, rows: Rows, client: SystemName) -> Party | None:
        """The system that people sign on to, where it takes part and they can come back to it."""
        row = rows.one(PARTY, client=client)
        if row is None:
            return None
        uris = {name: frozenset(row[name]) for name in ("redirect_uris", "post_logout_redirect_uris")}
        return Party(**row | uris)

    def put(
        self,
        tx: Transaction,
        key_digest: bytes,
        request: SignOnRequest,
        *,
        browser: OrganisationName,
        expire_time: datetime,
        provider: ProviderName | None = None,
        nonce: str | None = None,
        verifier: str | None = None,
    ) -> None:
        """What a browser is under way with."""
        tx.execute(
            PUT,
            key_digest=key_digest,
            browser=browser,
            request=Jsonb(request.row()),
            provider=provider,
            nonce=nonce,
            verifier=verifier,
            expire_time=expire_time,
        )

    def look(self, rows: Rows, key_digest: bytes, *, now: datetime) -> dict[str, Any] | None:
        """What this browser is under way with by this key."""
        return rows.one(LOOK, key_digest=key_digest, now=now)

    def take(self, tx: Transaction, key_digest: bytes, *, now: datetime) -> dict[str, Any] | None:
        """The same, which is good once."""
        return tx.one(TAKE, key_digest=key_digest, now=now)

    def session(self, rows: Rows, key_digest: bytes, *, now: datetime) -> Session | None:
        """The session of a cookie, where it goes on and people may still sign in there."""
        row = rows.one(SESSION, key_digest=key_digest, now=now)
        return Session(**row | {"roles": tuple(row["roles"])}) if row else None

    def open(self, tx: Transaction, session: Session, key_digest: bytes, *, now: datetime) -> None:
        """A new session."""
        tx.execute(
            OPEN,
            session=session.session,
            key_digest=key_digest,
            organisation=session.organisation,
            person=session.person,
            provider=session.provider,
            roles=list(session.roles),
            assurance=session.assurance,
            auth_time=session.auth_time,
            now=now,
            expire_time=session.expire_time,
        )

    def renew(self, tx: Transaction, session: Session, key_digest: bytes) -> None:
        """A session that the same person began anew, with another cookie."""
        tx.execute(
            RENEW,
            session=session.session,
            key_digest=key_digest,
            roles=list(session.roles),
            assurance=session.assurance,
            auth_time=session.auth_time,
            expire_time=session.expire_time,
        )

    def end_session(self, tx: Transaction, session: str, *, now: datetime) -> None:
        """The session is over."""
        tx.execute(END_SESSION, session=session, now=now)

    def end_grants(self, tx: Transaction, session: str, *, now: datetime) -> None:
        """Whatever came of a session is over."""
        tx.execute(END_GRANTS, session=session, now=now)

    def end_grant(self, tx: Transaction, sid: str, *, now: datetime) -> None:
        """What one client got is over."""
        tx.execute(END_GRANT, sid=sid, now=now)

    def session_of(self, rows: Rows, sid: str) -> str | None:
        """The session that a grant is of."""
        row = rows.one(SESSION_OF, sid=sid)
        return row["session"] if row else None

    def consented(self, rows: Rows, session: str, client: str, scope: Sequence[str]) -> bool:
        """Whether the person let this client have as much in this session before."""
        return rows.one(CONSENTED, session=session, client=client, scope=list(scope)) is not None

    def grant(
        self,
        tx: Transaction,
        session: Session,
        request: SignOnRequest,
        *,
        sid: str,
        code: bytes,
        now: datetime,
        expire_time: datetime,
    ) -> None:
        """A code for a client."""
        tx.execute(
            GRANT,
            sid=sid,
            organisation=session.organisation,
            session=session.session,
            client=request.client,
            redirect_uri=request.redirect_uri,
            challenge=request.challenge,
            nonce=request.nonce,
            scope=list(request.scope),
            code_digest=code,
            code_expire_time=expire_time,
            now=now,
        )

    def by_code(self, tx: Transaction, code_digest: bytes, *, now: datetime) -> Grant | None:
        """The grant of a code, kept from others until the transaction ends."""
        return grant_of(tx.one(BY_CODE, code_digest=code_digest, now=now))

    def by_sid(self, tx: Transaction, sid: str, *, now: datetime) -> Grant | None:
        """The grant of that name, kept from others until the transaction ends."""
        return grant_of(tx.one(BY_SID, sid=sid, now=now))

    def use_code(self, tx: Transaction, sid: str, *, now: datetime) -> None:
        """The code is good no more."""
        tx.execute(USE_CODE, sid=sid, now=now)

    def rotate(self, tx: Transaction, sid: str, *, now: datetime) -> None:
        """The refresh token is good for a moment more."""
        tx.execute(ROTATE, sid=sid, now=now)


def grant_of(row: dict[str, Any] | None) -> Grant | None:
    """The grant in a row."""
    return Grant(**row | {"roles": tuple(row["roles"]), "scope": tuple(row["scope"])}) if row else None
