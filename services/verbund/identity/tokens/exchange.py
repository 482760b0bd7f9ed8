"""Token exchange (RFC 8693): a token of an organisation's provider becomes a token of the mesh.

For whoever was there before and is described as before it takes one round trip to the database and one signature.
"""

import secrets
from datetime import UTC, datetime

import structlog

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.people.domain import Person, new_name
from verbund.identity.people.store import PersonStore
from verbund.identity.providers.domain import Fault, SignIn, TokenRefused
from verbund.identity.providers.hometoken import ACCESS_TOKEN, TYPES, HomeToken, HomeTokens
from verbund.identity.tokens.clients import PROOFS, Clients
from verbund.identity.tokens.domain import AccessToken, Client, Form, GrantRefused, Home, Terms, issue_time
from verbund.identity.tokens.store import TokenStore
from verbund.openid.requests import OAuthError
from verbund.policy.table import ASSURANCE_NAMES
from verbund.resources.names import PersonName
from verbund.serving.call import Call
from verbund.serving.refusals import Down

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ISSUE = "identity.tokens.issue"

log = structlog.get_logger(__name__)


class TokenExchange:
    """Gives people tokens of the mesh for tokens of their providers."""

    def __init__(
        self,
        *,
        database: Database,
        tokens: TokenStore,
        people: PersonStore,
        home_tokens: HomeTokens,
        clients: Clients,
        terms: Terms,
        clock: Clock,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._people = people
        self._home_tokens = home_tokens
        self._clients = clients
        self._terms = terms
        self._clock = clock

    def token(self, form: Form) -> AccessToken:
        """The token that the form's subject token is good for; raises OAuthError, or Down."""
        refuse_other_requests(form, self._terms)
        # Before anything is read: a suspension that commits meanwhile ends what is issued at this time.
        started = self._clock().timestamp()
        client = self._clients.authenticated(form, ISSUE) if PROOFS & form.keys() else None
        try:
            home, sign_in = self.proven(self._home_tokens.read(form["subject_token"], form["subject_token_type"]))
        except TokenRefused as refusal:
            log.info("home token refused", fault=refusal.fault.value)
            if refusal.fault is Fault.PROVIDER:
                raise Down from None
            raise GrantRefused from None
        resumed = (home.resume_time, client.resume_time if client else None)
        issued_at = max(issue_time(each, started) for each in resumed)
        life_seconds = min(self._terms.life_seconds, sign_in.expires_at - issued_at)
        if not fits(form, home, client) or life_seconds < 1:
            raise GrantRefused
        return AccessToken(
            terms=self._terms,
            subject=self.person(home, sign_in),
            client_id=client.name if client else home.audience,
            organisation=home.organisation,
            roles=sign_in.roles,
            assurance=ASSURANCE_NAMES[sign_in.assurance],
            provider=home.provider,
            actor=client.name if client else None,
            token_id=secrets.token_urlsafe(16),
            issued_at=issued_at,
            life_seconds=life_seconds,
            signing_kid=home.signing_kid,
        )

    def proven(self, token: HomeToken) -> tuple[Home, SignIn]:
        """Whose token it is, and what it gives; raises TokenRefused. What it says only selects whom to ask."""
        with self._database.read(Call.internal(ISSUE)) as rows:
            home = self._tokens.home(rows, token.issuer, token.audience, token.subject)
        if home is None:
            raise TokenRefused(Fault.ISSUER, "no active provider has this issuer and audience")
        return home, self._home_tokens.accept(token, home)

    def person(self, home: Home, sign_in: SignIn) -> PersonName:
        """The person; written where they are new, or are described in another way than before."""
        if home.person and (home.display_name, home.email) == (sign_in.display_name, sign_in.email):
            return home.person
        now = datetime.fromtimestamp(self._clock().timestamp(), UTC)
        person = Person(
            name=new_name(home.organisation),
            organisation=home.organisation,
            provider=home.provider,
            home_subject=sign_in.home_subject,
            display_name=sign_in.display_name,
            email=sign_in.email,
            create_time=now,
            update_time=now,
        )
        with self._database.transaction(Call.internal(ISSUE, organisation=home.organisation)) as tx:
            return self._people.keep(tx, person)


def refuse_other_requests(form: Form, terms: Terms) -> None:
    """Raises OAuthError for what is asked for beyond a person's token of this mesh: it is refused, never ignored."""
    if "subject_token" not in form or form.get("subject_token_type") not in TYPES:
        raise OAuthError("invalid_request", "subject_token, or a subject_token_type that is taken, is missing")
    if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise OAuthError("invalid_request", f"requested_token_type can only be {ACCESS_TOKEN}")
    if "actor_token" in form or "actor_token_type" in form:
        raise OAuthError("invalid_request", "a system that acts for a person authenticates as the client instead")
    if "scope" in form:
        raise OAuthError("invalid_scope", "roles are what the mesh has instead of scopes: leave scope out")
    if form.get("audience", terms.audience) not in (terms.audience, terms.issuer):
        raise OAuthError("invalid_target", "tokens are for this mesh only: leave audience out")
    if form.get("resource", terms.issuer) != terms.issuer:
        raise OAuthError("invalid_target", "tokens are for this mesh only: leave resource out")


def fits(form: Form, home: Home, client: Client | None) -> bool:
    """Whether the client may have the person's token: a system of the organisation, or the provider's own client."""
    if client is not None:
        return client.organisation == home.organisation
    return form.get("client_id", home.audience) == home.audience
