"""ProviderService: protos in, domain, protos out."""

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.database.rows import Transaction
from verbund.identity.keys.publication import Publisher
from verbund.identity.leaves import answered
from verbund.identity.organisations.store import OrganisationStore
from verbund.identity.providers import messages
from verbund.identity.providers.domain import (
    Provider,
    SignIn,
    State,
    TokenRefused,
    refuse_stranger,
    refuse_too_many,
    refused,
)
from verbund.identity.providers.hometoken import HomeTokens
from verbund.identity.providers.messages import to_proto
from verbund.identity.providers.store import ProviderStore
from verbund.identity.v1 import provider_service_pb2 as pb
from verbund.resources import masks
from verbund.resources.names import OrganisationName, ProviderName
from verbund.resources.pages import Page
from verbund.serving.call import Call


class ProviderServicer:
    """The OpenID providers that organisations trust."""

    service = pb.DESCRIPTOR.services_by_name["ProviderService"]

    def __init__(
        self,
        *,
        database: Database,
        organisations: OrganisationStore,
        providers: ProviderStore,
        home_tokens: HomeTokens,
        publisher: Publisher,
        issuer: str,
        clock: Clock,
    ) -> None:
        self._database = database
        self._organisations = organisations
        self._providers = providers
        self._home_tokens = home_tokens
        self._publisher = publisher
        self._issuer = issuer
        self._clock = clock

    def CreateProvider(self, request: pb.CreateProviderRequest, call: Call) -> pb.Provider:
        """Registers a draft."""
        parent, now = OrganisationName(request.parent), self._clock()
        content = messages.content_of(request.provider, mesh=self._issuer)
        with self._database.transaction(call) as tx:
            self._organisations.find(tx, parent)
            refuse_stranger(parent, call)
            self._organisations.lock(tx, parent)  # two that come at once are counted one after the other
            refuse_too_many(self._providers.count(tx, parent), parent)
            new = Provider(
                name=ProviderName(f"{parent}/providers/{request.provider_id}"),
                organisation=parent,
                create_time=now,
                update_time=now,
                **content,
            )
            self._providers.insert(tx, new)
            return answered(tx, call, "created", to_proto(new), organisation=parent)

    def GetProvider(self, request: pb.GetProviderRequest, call: Call) -> pb.Provider:
        """Reads one provider."""
        with self._database.read(call) as rows:
            return to_proto(self._providers.find(rows, ProviderName(request.name)))

    def ListProviders(self, request: pb.ListProvidersRequest, call: Call) -> pb.ListProvidersResponse:
        """Lists an organisation's providers: those of another organisation look as if it had none."""
        parent = OrganisationName(request.parent)
        page = Page.asked(request, call.organisation)
        with self._database.read(call) as rows:
            found = self._providers.list(rows, parent, after=page.after, size=page.limit)
            if not found:
                self._organisations.find(rows, parent)
        shown = [to_proto(provider) for provider in page.shown(found)]
        return pb.ListProvidersResponse(providers=shown, next_page_token=page.next_token(found))

    def UpdateProvider(self, request: pb.UpdateProviderRequest, call: Call) -> pb.Provider:
        """Changes title, mapping and e-mail domains, in a draft issuer and audience too."""
        chosen = masks.paths(request.update_mask, request.provider, messages.CHANGEABLE)
        with self._database.transaction(call) as tx:
            present = self._providers.lock(tx, ProviderName(request.provider.name))
            present.check(request.provider.etag)
            wanted = to_proto(present)
            masks.apply(wanted, request.provider, chosen)
            changed = present.updated(**messages.content_of(wanted, mesh=self._issuer), at=self._clock())
            return self._saved(tx, call, "updated", present, changed)

    def TestProvider(self, request: pb.TestProviderRequest, call: Call) -> pb.TestProviderResponse:
        """Tells what would come of a token."""
        with self._database.read(call) as rows:
            provider = self._providers.find(rows, ProviderName(request.name))
        try:
            return messages.outcome(self._tried(provider, request.home_token))
        except TokenRefused as refusal:
            return pb.TestProviderResponse(
                fault=pb.TokenFault.Value(f"TOKEN_FAULT_{refusal.fault}"), description=refusal.description
            )

    def ActivateProvider(self, request: pb.ActivateProviderRequest, call: Call) -> pb.Provider:
        """Activates, if the token is good for a token of the mesh by what the provider's row says meanwhile."""
        name = ProviderName(request.name)
        with self._database.read(call) as rows:
            tried = self._providers.find(rows, name)
        refusal = self._refusal(tried, request.home_token)
        with self._database.transaction(call) as tx:  # a repetition ends here, whatever became of its token
            present = self._providers.lock(tx, name)
            present.check(request.etag)
            present.check(tried.etag)  # whoever changes it meanwhile knows the next etag
            if refusal is not None:
                raise refused(name, refusal)
            answer = self._saved(tx, call, "activated", present, present.activated(at=self._clock()))
        self._publisher.publish_soon()
        return answer

    def SuspendProvider(self, request: pb.SuspendProviderRequest, call: Call) -> pb.Provider:
        """Suspends; the tokens of its people end with the publication, which is not waited for longer than a moment."""
        with self._database.transaction(call) as tx:
            present = self._providers.lock(tx, ProviderName(request.name))
            present.check(request.etag)
            answer = self._saved(tx, call, "suspended", present, present.suspended(at=self._clock()))
        self._publisher.publish_soon()
        return answer

    def _tried(self, provider: Provider, home_token: str) -> SignIn:
        """What a token gives its person; raises TokenRefused. No database connection is held meanwhile."""
        return self._home_tokens.accept(self._home_tokens.read(home_token), provider)

    def _refusal(self, provider: Provider, home_token: str) -> TokenRefused | None:
        """What is wrong with a token."""
        try:
            self._tried(provider, home_token)
        except TokenRefused as refusal:
            return refusal
        return None

    def _saved(self, tx: Transaction, call: Call, verb: str, present: Provider, changed: Provider) -> pb.Provider:
        """Saves what changed, if anything did, and answers."""
        if changed is present:
            return tx.answer(to_proto(present))
        if changed.state is State.ACTIVE and changed.email_domains:
            self._providers.refuse_taken_domains(tx, changed)
        self._providers.save(tx, changed)
        return answered(tx, call, verb, to_proto(changed), organisation=changed.organisation)
