"""What the OAuth endpoints do with a form: client credentials with private_key_jwt (RFC 6749, 7523), and revocation."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.keys.publication import Publisher
from verbund.identity.routes import TOKEN_PATH
from verbund.identity.tokens import assertion as assertions
from verbund.identity.tokens.allowance import Allowance
from verbund.identity.tokens.domain import AccessToken, Client, ClientRefused, OAuthError
from verbund.identity.tokens.signing import Signer
from verbund.identity.tokens.store import TokenStore
from verbund.resources.names import organisation_of
from verbund.serving.call import Call

GRANT = "client_credentials"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ISSUE = "identity.tokens.issue"
REVOKE = "identity.tokens.revoke"

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, and how long it lives."""

    token: str
    life_seconds: int


class TokenEndpoint:
    """Gives tokens to systems that prove who they are, and takes tokens back."""

    def __init__(
        self,
        *,
        database: Database,
        tokens: TokenStore,
        signer: Signer,
        publisher: Publisher,
        allowance: Allowance,
        issuer: str,
        audience: str,
        life_seconds: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._signer = signer
        self._publisher = publisher
        self._allowance = allowance
        self._issuer = issuer
        self._audience = audience
        self._audiences = frozenset({issuer, issuer + TOKEN_PATH})
        self._life_seconds = life_seconds
        self._clock = clock

    def issue(self, form: Form) -> Issued:
        """A token for the client that the form's assertion proves; raises OAuthError."""
        grant = form.get("grant_type", "")
        if not grant:
            raise OAuthError("invalid_request", "grant_type is missing")
        if grant != GRANT:
            raise OAuthError("unsupported_grant_type", f"grant_type must be {GRANT}")
        # Before the client is read: a suspension that commits meanwhile ends what is issued at this time.
        started = self._clock().timestamp()
        client = self._authenticated(form, ISSUE)
        if form.get("scope"):
            raise OAuthError("invalid_scope", "roles are what the mesh has instead of scopes: leave scope out")
        token = AccessToken(
            issuer=self._issuer,
            audience=self._audience,
            client=client,
            token_id=secrets.token_urlsafe(16),
            issued_at=client.issue_time(started),
            life_seconds=self._life_seconds,
        )
        return Issued(self._signer.sign(token), self._life_seconds)

    def revoke(self, form: Form) -> None:
        """Ends a token of the client's own. One that is none, or has expired, needs no end; raises OAuthError."""
        client = self._authenticated(form, REVOKE)
        if not form.get("token"):
            raise OAuthError("invalid_request", "token is missing")
        claims = self._signer.verify(form["token"])
        if claims is None or claims["exp"] <= self._clock().timestamp():
            return
        if claims["client_id"] != client.name:
            raise OAuthError("invalid_grant", "the token was issued to another client")
        with self._database.transaction(Call.internal(REVOKE, organisation=client.organisation)) as tx:
            self._tokens.revoke(tx, client, claims["jti"], expire_time=datetime.fromtimestamp(claims["exp"], UTC))
        self._publisher.publish_soon()

    def _authenticated(self, form: Form, name: str) -> Client:
        """The client that the form's assertion proves; raises ClientRefused, the same for whatever is wrong."""
        if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
            raise ClientRefused
        try:
            assertion = assertions.parse(form["client_assertion"])
            if form.get("client_id", assertion.client) != assertion.client:
                raise ClientRefused
            call = Call.internal(name, organisation=organisation_of(assertion.client))
            with self._database.read(call) as rows:
                client = self._tokens.client(rows, assertion.client, call.organisation)
            assertions.prove(assertion, client.keys)
            assertions.check(assertion, audiences=self._audiences, now=self._clock().timestamp())
        except assertions.AssertionRefused:
            raise ClientRefused from None
        if not client.active:
            raise ClientRefused
        self._use(assertion, client, call)
        return client

    def _use(self, assertion: assertions.Assertion, client: Client, call: Call) -> None:
        """Lets an assertion be used once; raises ClientRefused on a replay."""
        if not self._allowance.take(client.name, now=self._clock().timestamp()):
            raise OAuthError(
                "temporarily_unavailable", "too many tokens in a minute: keep one until it expires", status=429
            )
        expire_time = datetime.fromtimestamp(assertion.claims["exp"] + assertions.CLOCK_SKEW_SECONDS, UTC)
        digest = hashlib.sha256(assertion.claims["jti"].encode("utf-8", "surrogatepass")).digest()
        with self._database.transaction(call) as tx:
            if not self._tokens.use(tx, client, digest, expire_time=expire_time):
                raise ClientRefused
