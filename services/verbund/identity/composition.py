"""Composes what identity says over HTTP: the token endpoint, and the sign-on of browsers."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.http import Handler, configuration
from verbund.identity.keys.publication import Publisher
from verbund.identity.keys.sealing import Seal
from verbund.identity.keys.store import KeyStore
from verbund.identity.people.store import PersonStore
from verbund.identity.providers.hometoken import HomeTokens
from verbund.identity.providers.outbound import Fetcher
from verbund.identity.routes import TOKEN_PATH
from verbund.identity.settings import IdentitySettings
from verbund.identity.signon.choices import Choices
from verbund.identity.signon.flow import SignOn
from verbund.identity.signon.grants import SignOnGrants
from verbund.identity.signon.http import SignOnRoutes
from verbund.identity.signon.leaving import Leaving
from verbund.identity.signon.parties import Parties, read_secret
from verbund.identity.signon.relying import RelyingParty
from verbund.identity.signon.retelling import Retelling
from verbund.identity.signon.sessions import Sessions
from verbund.identity.signon.store import SignOnStore
from verbund.identity.signon.upstream import Upstreams
from verbund.identity.signon.userinfo import Userinfo
from verbund.identity.tokens.allowance import Allowance
from verbund.identity.tokens.clients import Clients
from verbund.identity.tokens.domain import Terms
from verbund.identity.tokens.endpoint import TokenEndpoint
from verbund.identity.tokens.exchange import TokenExchange
from verbund.identity.tokens.signing import Signer
from verbund.identity.tokens.store import TokenStore
from verbund.serving.settings import ServingSettings


@dataclass(frozen=True, kw_only=True)
class OAuth:
    """The parts behind the OAuth routes, each made once."""

    settings: IdentitySettings
    serving: ServingSettings
    database: Database
    seal: Seal
    publisher: Publisher
    fetcher: Fetcher
    home_tokens: HomeTokens
    clock: Clock

    @cached_property
    def endpoint(self) -> TokenEndpoint:
        """The token endpoint."""
        return TokenEndpoint(
            database=self.database,
            tokens=TokenStore(),
            clients=self.clients,
            exchange=self.exchange,
            sign_on=self.grants,
            signer=self.signer,
            publisher=self.publisher,
            terms=self.terms,
            clock=self.clock,
        )

    def sign_on_handlers(self, threads: Executor) -> Mapping[str, Handler]:
        """The handlers of the sign-on, by the names of their rules."""
        store, upstreams = SignOnStore(), Upstreams(get=self.fetcher.get, post=self.fetcher.post)
        choices = Choices(database=self.database, store=store)
        sessions = Sessions(
            database=self.database, store=store, exchange=self.exchange, publisher=self.publisher, clock=self.clock
        )
        sign_on = SignOn(
            issuer=self.serving.issuer,
            database=self.database,
            store=store,
            parties=self.parties,
            choices=choices,
            relying_party=self._relying_party(store, choices, upstreams),
            sessions=sessions,
            clock=self.clock,
        )
        leaving = Leaving(
            issuer=self.serving.issuer,
            database=self.database,
            store=store,
            parties=self.parties,
            choices=choices,
            sessions=sessions,
            upstreams=upstreams,
            signer=self.signer,
        )
        userinfo = Userinfo(
            database=self.database,
            store=store,
            people=PersonStore(),
            parties=self.parties,
            grants=self.grants,
            signer=self.signer,
            clock=self.clock,
        )
        routes = SignOnRoutes(
            issuer=self.serving.issuer,
            metadata=configuration(self.serving.issuer),
            sign_on=sign_on,
            leaving=leaving,
            userinfo=userinfo,
            retelling=Retelling(self.seal.derived("refusals in links")),
            threads=threads,
        )
        return routes.handlers()

    def _relying_party(self, store: SignOnStore, choices: Choices, upstreams: Upstreams) -> RelyingParty:
        return RelyingParty(
            issuer=self.serving.issuer,
            database=self.database,
            store=store,
            choices=choices,
            upstreams=upstreams,
            home_tokens=self.home_tokens,
            exchange=self.exchange,
            clock=self.clock,
        )

    @cached_property
    def terms(self) -> Terms:
        """What all tokens say alike."""
        return Terms(self.serving.issuer, self.serving.audience, self.settings.token_seconds)

    @cached_property
    def signer(self) -> Signer:
        """Signs with the key whose turn it is."""
        return Signer(database=self.database, keys=KeyStore(), seal=self.seal)

    @cached_property
    def clients(self) -> Clients:
        """Finds out which system sent a form."""
        return Clients(
            database=self.database,
            tokens=TokenStore(),
            allowance=Allowance(self.settings.tokens_per_minute_max),
            audiences=frozenset({self.serving.issuer, self.serving.issuer + TOKEN_PATH}),
            clock=self.clock,
        )

    @cached_property
    def exchange(self) -> TokenExchange:
        """Finds out who comes with a token of a provider."""
        return TokenExchange(
            database=self.database,
            tokens=TokenStore(),
            people=PersonStore(),
            home_tokens=self.home_tokens,
            clients=self.clients,
            terms=self.terms,
            clock=self.clock,
        )

    @cached_property
    def parties(self) -> Parties:
        """The clients that people sign on to."""
        return Parties(
            issuer=self.serving.issuer,
            console_secret=read_secret(self.settings.console_secret_file),
            database=self.database,
            store=SignOnStore(),
            clients=self.clients,
        )

    @cached_property
    def grants(self) -> SignOnGrants:
        """What these clients get."""
        return SignOnGrants(
            database=self.database,
            store=SignOnStore(),
            parties=self.parties,
            signer=self.signer,
            publisher=self.publisher,
            terms=self.terms,
            refresh_key=self.seal.derived("refresh tokens"),
            pairwise_key=self.seal.derived("pairwise subjects"),
            clock=self.clock,
        )
