"""What the OAuth endpoints do with a form: client credentials (RFC 6749), token exchange (RFC 8693), and revocation."""

import secrets
from datetime import UTC, datetime

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.keys.publication import Publisher
from verbund.identity.providers.hometoken import ACCESS_TOKEN
from verbund.identity.signon import grants as signon
from verbund.identity.signon.grants import SignOnGrants
from verbund.identity.tokens import exchange
from verbund.identity.tokens.clients import Clients
from verbund.identity.tokens.domain import AccessToken, Form, Issued, Terms
from verbund.identity.tokens.exchange import TokenExchange
from verbund.identity.tokens.signing import Signer
from verbund.identity.tokens.store import TokenStore
from verbund.openid.requests import OAuthError
from verbund.serving.call import Call

CREDENTIALS = "client_credentials"
GRANTS = (CREDENTIALS, exchange.GRANT, *signon.GRANTS)
ISSUE = "identity.tokens.issue"
REVOKE = "identity.tokens.revoke"


class TokenEndpoint:
    """Gives tokens to systems and people who prove who they are, and takes tokens back."""

    def __init__(
        self,
        *,
        database: Database,
        tokens: TokenStore,
        clients: Clients,
        exchange: TokenExchange,
        sign_on: SignOnGrants,
        signer: Signer,
        publisher: Publisher,
        terms: Terms,
        clock: Clock,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._clients = clients
        self._exchange = exchange
        self._sign_on = sign_on
        self._signer = signer
        self._publisher = publisher
        self._terms = terms
        self._clock = clock

    def issue(self, form: Form) -> Issued:
        """The token that the form's grant gives; raises OAuthError."""
        if form.get("grant_type") in signon.GRANTS:
            return self._sign_on.issue(form)
        match form.get("grant_type", ""):
            case exchange.GRANT:
                token, kind = self._exchange.token(form), ACCESS_TOKEN
            case "client_credentials":
                token, kind = self._of_client(form), ""
            case "":
                raise OAuthError("invalid_request", "grant_type is missing")
            case _:
                raise OAuthError("unsupported_grant_type", f"grant_type must be {' or '.join(GRANTS)}")
        return Issued(self._signer.sign(token), token.life_seconds, kind)

    def revoke(self, form: Form) -> None:
        """Ends a token of the client's own. One that is none, or has expired, needs no end; raises OAuthError."""
        client = self._clients.authenticated(form, REVOKE)
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

    def _of_client(self, form: Form) -> AccessToken:
        """A token for the client that the form's assertion proves; raises OAuthError."""
        # Before the client is read: a suspension that commits meanwhile ends what is issued at this time.
        started = self._clock().timestamp()
        client = self._clients.authenticated(form, ISSUE)
        if form.get("scope"):
            raise OAuthError("invalid_scope", "roles are what the mesh has instead of scopes: leave scope out")
        return AccessToken.of_system(client, self._terms, token_id=secrets.token_urlsafe(16), now=started)
