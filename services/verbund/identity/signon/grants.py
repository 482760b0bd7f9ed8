"""What clients get of a sign-on: tokens for a code (RFC 6749, section 4.1.3) and for a refresh token (section 6)."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

import structlog

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.keys.publication import Publisher
from verbund.identity.signon.domain import REFRESH_GRACE, Grant, Key, Party, Refresh, digest, pairwise
from verbund.identity.signon.parties import Parties
from verbund.identity.signon.store import SignOnStore
from verbund.identity.tokens.domain import AccessToken, Form, Issued, Terms, issue_time
from verbund.identity.tokens.signing import TYPE, Signer
from verbund.openid.requests import OAuthError
from verbund.serving.call import Call

CODE, REFRESH = "authorization_code", "refresh_token"
GRANTS = (CODE, REFRESH)
ISSUE = "identity.tokens.issue"
ID_TOKEN = "JWT"  # noqa: S105 - the `typ` of an ID token
VERIFIER_LENGTHS = range(43, 129)  # RFC 7636, section 4.1

log = structlog.get_logger(__name__)


class SignOnGrants:
    """Gives tokens for codes and refresh tokens; what is used twice ends all that came of it."""

    def __init__(
        self,
        *,
        database: Database,
        store: SignOnStore,
        parties: Parties,
        signer: Signer,
        publisher: Publisher,
        terms: Terms,
        refresh_key: bytes,
        pairwise_key: bytes,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._parties = parties
        self._signer = signer
        self._publisher = publisher
        self._terms = terms
        self._refresh_key = refresh_key
        self._pairwise_key = pairwise_key
        self._clock = clock

    def issue(self, form: Form) -> Issued:
        """The tokens for the form's grant; raises OAuthError."""
        party = self._parties.authenticated(form)
        started = self._clock()
        by_code = form["grant_type"] == CODE
        grant, count = self._of_code(form, party, started) if by_code else self._of_refresh(form, party, started)
        return self._issued(grant, party, count, now=started.timestamp(), nonce=grant.nonce if by_code else "")

    def _of_code(self, form: Form, party: Party, now: datetime) -> tuple[Grant, int]:
        """The grant of a code that is good, and is good no more; raises OAuthError."""
        code = Key.read(form.get("code", ""))
        if code is None:
            raise refused()
        with self._database.transaction(Call.internal(ISSUE, organisation=code.organisation)) as tx:
            grant = self._store.by_code(tx, code.digest, now=now)
            again = grant is not None and grant.code_use_time is not None
            good = grant is not None and not again and fits_code(grant, form, party, now)
            if grant is not None and again:
                self._store.end_grant(tx, grant.sid, now=now)
            elif grant is not None:
                self._store.use_code(tx, grant.sid, now=now)
        if again:
            self._end("a code was used twice", party)
        if grant is None or not good:
            raise refused()
        return grant, 0

    def _of_refresh(self, form: Form, party: Party, now: datetime) -> tuple[Grant, int]:
        """The grant of a refresh token that is good, and the number of its successor; raises OAuthError."""
        token = Refresh.read(form.get("refresh_token", ""), self._refresh_key)
        if token is None:
            raise refused()
        if set(form.get("scope", "").split()) - {"openid", "profile", "email"}:
            raise OAuthError("invalid_scope", "scope can only become less")
        with self._database.transaction(Call.internal(ISSUE, organisation=token.organisation)) as tx:
            grant = self._store.by_sid(tx, token.sid, now=now)
            if grant is None or not grant.alive or grant.client != party.client:
                raise refused()
            newest = token.count == grant.refresh_count
            stolen = not newest and not within_grace(grant, token.count, now)
            if stolen:
                self._store.end_grant(tx, grant.sid, now=now)
            elif newest:
                self._store.rotate(tx, grant.sid, now=now)
        if stolen:
            self._end("an old refresh token was used", party)
            raise refused()
        return grant, grant.refresh_count + 1 if newest else grant.refresh_count

    def _end(self, event: str, party: Party) -> None:
        """What was ended ends everywhere."""
        log.warning(event, client=party.client)
        self._publisher.publish_soon()

    def _issued(self, grant: Grant, party: Party, count: int, *, now: float, nonce: str) -> Issued:
        """Access token, refresh token and ID token."""
        issued_at = issue_time(grant.resume_time, now)
        life_seconds = min(self._terms.life_seconds, int(grant.session_expire_time.timestamp()) - issued_at)
        if life_seconds < 1:
            raise refused()
        subject = self.subject(grant, party)
        if party.is_member:
            access = self._for_userinfo(grant, subject, issued_at, life_seconds)
        else:
            access = self._signer.sign(self._of_mesh(grant, issued_at, life_seconds))
        said = {
            "iss": self._terms.issuer,
            "sub": subject,
            "aud": party.client,
            "iat": issued_at,
            "exp": issued_at + life_seconds,
            "auth_time": int(grant.auth_time.timestamp()),
            "acr": grant.assurance,
            "sid": grant.sid,
            "at_hash": half_hash(access),
        } | ({"nonce": nonce} if nonce else {})
        more = {
            "id_token": self._signer.sign_claims(said, kid=grant.signing_kid, kind=ID_TOKEN),
            "refresh_token": Refresh(grant.organisation, grant.sid, count).text(self._refresh_key),
            "scope": " ".join(grant.scope),
        }
        return Issued(access, life_seconds, more=more)

    def subject(self, grant: Grant, party: Party) -> str:
        """What the client calls the person."""
        return pairwise(grant.person, party.organisation, self._pairwise_key) if party.is_member else grant.person

    def _of_mesh(self, grant: Grant, issued_at: int, life_seconds: int) -> AccessToken:
        """A token of the mesh, for its own pages."""
        return AccessToken(
            terms=self._terms,
            subject=grant.person,
            client_id=grant.client,
            organisation=grant.organisation,
            roles=grant.roles,
            assurance=grant.assurance,
            provider=grant.provider,
            session=grant.sid,
            token_id=secrets.token_urlsafe(16),
            issued_at=issued_at,
            life_seconds=life_seconds,
            signing_kid=grant.signing_kid,
        )

    def _for_userinfo(self, grant: Grant, subject: str, issued_at: int, life_seconds: int) -> str:
        """A token with which a member may ask who the person is, and nothing else: its audience is no service's."""
        claims = {
            "iss": self._terms.issuer,
            "aud": f"{self._terms.issuer}/oauth2/userinfo",
            "sub": subject,
            "client_id": grant.client,
            "org": grant.organisation,
            "sid": grant.sid,
            "scope": " ".join(grant.scope),
            "jti": secrets.token_urlsafe(16),
            "iat": issued_at,
            "exp": issued_at + life_seconds,
        }
        return self._signer.sign_claims(claims, kid=grant.signing_kid, kind=TYPE)


def fits_code(grant: Grant, form: Form, party: Party, now: datetime) -> bool:
    """Whether whoever sends a code is who asked for it, in time."""
    if not grant.alive or now >= grant.code_expire_time:
        return False
    if grant.client != party.client or grant.redirect_uri != form.get("redirect_uri"):
        return False
    return fits_challenge(form.get("code_verifier", ""), grant.challenge)


def fits_challenge(verifier: str, challenge: str) -> bool:
    """Whether a verifier is the one of a challenge (RFC 7636, section 4.6)."""
    if len(verifier) not in VERIFIER_LENGTHS:
        return False
    hashed = base64.urlsafe_b64encode(digest(verifier)).rstrip(b"=")
    return hmac.compare_digest(hashed, challenge.encode())


def within_grace(grant: Grant, count: int, now: datetime) -> bool:
    """Whether it is the token before, sent by a browser that asked several times at once."""
    if count != grant.refresh_count - 1 or grant.refresh_time is None:
        return False
    return now < grant.refresh_time + REFRESH_GRACE


def half_hash(token: str) -> str:
    """What ties an ID token to an access token (OpenID Connect Core 1.0, section 3.1.3.6)."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()[:16]).rstrip(b"=").decode()


def refused() -> OAuthError:
    """There is one such refusal, whatever was wrong."""
    return OAuthError("invalid_grant", "the code or token is not good for this client, or not any more")
