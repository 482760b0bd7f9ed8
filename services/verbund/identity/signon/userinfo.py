"""Who a person is, told to those who may know (OpenID Connect Core 1.0, section 5.3)."""

from verbund.clock import Clock
from verbund.database.database import Database
from verbund.identity.people.store import PersonStore
from verbund.identity.signon.grants import SignOnGrants
from verbund.identity.signon.parties import Parties
from verbund.identity.signon.store import SignOnStore
from verbund.identity.tokens.signing import Signer
from verbund.resources.names import OrganisationName
from verbund.serving.call import Call

READ = "identity.signon.userinfo"


class Userinfo:
    """Answers what a grant's scope covers, as long as the grant goes on."""

    def __init__(
        self,
        *,
        database: Database,
        store: SignOnStore,
        people: PersonStore,
        parties: Parties,
        grants: SignOnGrants,
        signer: Signer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._store = store
        self._people = people
        self._parties = parties
        self._grants = grants
        self._signer = signer
        self._clock = clock

    def claims(self, token: str) -> dict[str, str] | None:
        """What the token's bearer may know of the person; None where the token is good for nothing any more."""
        claims, now = self._signer.verify(token), self._clock()
        if claims is None or "sid" not in claims or claims["exp"] <= now.timestamp():
            return None
        call = Call.internal(READ, organisation=OrganisationName(str(claims["org"])))
        with self._database.transaction(call) as tx:
            grant = self._store.by_sid(tx, str(claims["sid"]), now=now)
            if grant is None or not grant.alive:
                return None
            person = self._people.find(tx, grant.person)
        party = self._parties.find(grant.client)
        if party is None:
            return None
        told = {"sub": self._grants.subject(grant, party)}
        if "profile" in grant.scope and person.display_name:
            told["name"] = person.display_name
        if "email" in grant.scope and person.email:
            told["email"] = person.email
        return told
