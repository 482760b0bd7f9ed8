"""Systems: what they are, who may change them, and what is refused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from verbund.identity.organisations.domain import State
from verbund.identity.systems.jwk import Jwk
from verbund.resources import etags
from verbund.resources.names import OrganisationName, SystemName
from verbund.serving.call import Call
from verbund.serving.refusals import Absent, Exists, Forbidden, StateForbids

OPERATOR = "operator"
GIVE_OPERATOR = "identity.operators.create"
KEYS_MAX = 8


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of a system, and since when it has it."""

    jwk: Jwk
    create_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """An IT system of an organisation."""

    name: SystemName
    organisation: OrganisationName
    title: str
    roles: tuple[str, ...]
    keys: tuple[Key, ...]
    state: State = State.ACTIVE
    revision: int = 1
    create_time: datetime
    update_time: datetime
    suspend_time: datetime | None = None
    resume_time: datetime | None = None
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    public_client: bool = False

    @classmethod
    def registered(
        cls,
        name: SystemName,
        title: str,
        *,
        organisation: OrganisationName,
        roles: Sequence[str],
        jwk: Jwk,
        at: datetime,
    ) -> "System":
        """A new system with its first key."""
        return cls(
            name=name,
            organisation=organisation,
            title=title,
            roles=tuple(roles),
            keys=(Key(jwk, at),),
            create_time=at,
            update_time=at,
        )

    @property
    def etag(self) -> str:
        """The etag of this revision."""
        return etags.etag_of(self.revision, self.name)

    def check(self, etag: str) -> None:
        """Raises Stale where the caller read another revision."""
        etags.check(etag, self.etag, self.name)

    def with_key(self, jwk: Jwk, *, at: datetime) -> "System":
        """With one key more; raises Exists or StateForbids."""
        if any(key.jwk.kid == jwk.kid for key in self.keys):
            raise Exists(f"{self.name}/keys/{jwk.kid}")
        if len(self.keys) >= KEYS_MAX:
            raise StateForbids(self.name, type="KEYS_MAX", description="A system has eight keys at most: remove one.")
        return self._changed(at, keys=(*self.keys, Key(jwk, at)))

    def without_key(self, kid: str, *, at: datetime) -> "System":
        """With one key less; raises Absent or StateForbids."""
        kept = tuple(key for key in self.keys if key.jwk.kid != kid)
        if len(kept) == len(self.keys):
            raise Absent(f"{self.name}/keys/{kid}")
        if not kept:
            raise StateForbids(
                self.name, type="LAST_KEY", description="The last key stays: suspend the system instead."
            )
        return self._changed(at, keys=kept)

    def signed_on_at(
        self,
        redirect_uris: Sequence[str],
        post_logout_redirect_uris: Sequence[str],
        *,
        public_client: bool,
        at: datetime,
    ) -> "System":
        """With other addresses for people who sign on to it; unchanged where they are the same."""
        wanted = (tuple(redirect_uris), tuple(post_logout_redirect_uris), public_client)
        if wanted == (self.redirect_uris, self.post_logout_redirect_uris, self.public_client):
            return self
        return self._changed(
            at, redirect_uris=wanted[0], post_logout_redirect_uris=wanted[1], public_client=public_client
        )

    def suspended(self, *, call: Call, at: datetime) -> "System":
        """Suspended; unchanged where it is already, so that an emergency's repetition is no error."""
        if OPERATOR in self.roles and call.principal.system == self.name:
            raise StateForbids(self.name, type="OWN_SYSTEM", description="An operator cannot shut itself out.")
        if self.state is State.SUSPENDED:
            return self
        return self._changed(at, state=State.SUSPENDED, suspend_time=at)

    def resumed(self, *, at: datetime) -> "System":
        """Active again; unchanged where it is already."""
        return self if self.state is State.ACTIVE else self._changed(at, state=State.ACTIVE, resume_time=at)

    def _changed(self, at: datetime, **changes: object) -> "System":
        return replace(self, revision=self.revision + 1, update_time=at, **changes)  # type: ignore[arg-type]


def refuse_giving(roles: Sequence[str], call: Call) -> None:
    """Raises Forbidden where the roles make an operator and the caller is none.

    That holds for every change of a system that has the role, too: whoever could add a key to an operator's system
    would be an operator.
    """
    if OPERATOR in roles and not call.principal.is_operator:
        raise Forbidden("PERMISSION_MISSING", rule=call.rule.name, permission=GIVE_OPERATOR)
