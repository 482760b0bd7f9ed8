"""Client authentication at the OAuth endpoints: private_key_jwt (RFC 7523), each assertion good once."""

import hashlib
from datetime import UTC, datetime

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.tokens import assertion as assertions
from verbund.identity.tokens.allowance import Allowance
from verbund.identity.tokens.domain import Client, ClientRefused, Form
from verbund.identity.tokens.store import TokenStore
from verbund.identity.tokens.times import CLOCK_SKEW_SECONDS
from verbund.openid.requests import OAuthError
from verbund.resources.names import organisation_of
from verbund.serving.call import Call

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# Whoever sends one of these means to prove who they are.
PROOFS = frozenset({"client_assertion", "client_assertion_type", "client_secret"})


class Clients:
    """Finds out which system sent a form."""

    def __init__(
        self, *, database: Database, tokens: TokenStore, allowance: Allowance, audiences: frozenset[str], clock: Clock
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._allowance = allowance
        self._audiences = audiences
        self._clock = clock

    def authenticated(self, form: Form, name: str) -> Client:
        """The client that the form's assertion proves; raises ClientRefused, the same for whatever is wrong.

        `name` is the rule's under which it acts.
        """
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
        expire_time = datetime.fromtimestamp(assertion.claims["exp"] + CLOCK_SKEW_SECONDS, UTC)
        digest = hashlib.sha256(assertion.claims["jti"].encode("utf-8", "surrogatepass")).digest()
        with self._database.transaction(call) as tx:
            if not self._tokens.use(tx, client, digest, expire_time=expire_time):
                raise ClientRefused
