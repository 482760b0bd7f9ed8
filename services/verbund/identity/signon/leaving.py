"""Signing out (OpenID Connect RP-Initiated Logout 1.0): of the mesh everywhere, and at home where that is possible."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from verbund.database.database import Database
from verbund.identity.routes import SIGNED_OUT_PATH
from verbund.identity.signon.choices import Choices
from verbund.identity.signon.domain import Browser, Party, Session, Unanswerable
from verbund.identity.signon.parties import Parties
from verbund.identity.signon.requests import one
from verbund.identity.signon.sessions import Sessions
from verbund.identity.signon.store import SignOnStore
from verbund.identity.signon.upstream import Upstreams
from verbund.identity.tokens.signing import Signer
from verbund.openid.requests import Pairs, extended, values
from verbund.serving.call import Call

LEAVE = "identity.signon.leave"
TEXT_LENGTH_MAX = 2048


@dataclass(frozen=True, slots=True)
class Left:
    """The session has ended; the browser goes to `location`, or is told so where that is empty.

    `after` says where it goes when it comes back from there: see Leaving.after.
    """

    location: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class Confirm:
    """Nobody proved that the person wants this: they are asked."""

    pairs: Pairs


class Leaving:
    """Ends sessions at the wish of their people."""

    def __init__(
        self,
        *,
        issuer: str,
        database: Database,
        store: SignOnStore,
        parties: Parties,
        choices: Choices,
        sessions: Sessions,
        upstreams: Upstreams,
        signer: Signer,
    ) -> None:
        self._issuer = issuer
        self._database = database
        self._store = store
        self._parties = parties
        self._choices = choices
        self._sessions = sessions
        self._upstreams = upstreams
        self._signer = signer

    def begin(self, pairs: Pairs, browser: Browser, *, confirmed: bool) -> Left | Confirm:
        """The answer to a logout request; raises Unanswerable where it wants to go where it may not."""
        named = self._named(one(pairs, "id_token_hint"))
        party, after = self._after(pairs, named)
        session = self._sessions.of(browser)
        if session is None:
            return Left(after)
        if not confirmed and (named is None or self._session_of(named, session) != session.session):
            return Confirm([(name, value) for name, value in pairs if name != "id_token_hint"])
        self._sessions.end(session)
        at_home = self._at_home(session)
        return Left(at_home or after, kept(pairs, party) if at_home and party else "")

    def after(self, stated: str) -> str:
        """Where a sign-out ends that led over the provider: what a cookie kept of the request is looked at once more.

        Empty where nothing good is left of it.
        """
        try:
            return self._after(parse_qsl(stated), None)[1]
        except Unanswerable:
            return ""

    def _named(self, hint: str) -> dict[str, str] | None:
        """Client and `sid` of an ID token of ours, whatever its age."""
        claims = self._signer.verify(hint, "JWT") if hint else None
        return {"client": str(claims["aud"]), "sid": str(claims["sid"])} if claims and "sid" in claims else None

    def _session_of(self, named: dict[str, str], session: Session) -> str | None:
        """The session that a `sid` is of, as far as the organisation of the person who is here has it."""
        with self._database.read(Call.internal(LEAVE, organisation=session.organisation)) as rows:
            return self._store.session_of(rows, named["sid"])

    def _after(self, pairs: Pairs, named: dict[str, str] | None) -> tuple[Party | None, str]:
        """Whose address after the sign-out, and the address with the state; empty where none is asked for."""
        uris = values(pairs, "post_logout_redirect_uri")
        stated = one(pairs, "client_id")
        if named and stated and stated != named["client"]:
            raise Unanswerable("client")
        if not uris:
            return None, ""
        party: Party | None = self._parties.find(named["client"] if named else stated)
        if party is None or len(uris) != 1 or uris[0] not in party.post_logout_redirect_uris:
            raise Unanswerable("redirect_uri")
        state = one(pairs, "state")[:TEXT_LENGTH_MAX]
        return party, extended(uris[0], {"state": state} if state else {})

    def _at_home(self, session: Session) -> str:
        """Where the session at home ends; empty where the provider does not do that, or is away."""
        try:
            choice = self._choices.of(session.provider)
            endpoint = self._upstreams.answering(choice).end_session
        except Unanswerable:
            return ""
        asked = {"client_id": choice.audience, "post_logout_redirect_uri": self._issuer + SIGNED_OUT_PATH}
        return extended(endpoint, asked) if endpoint else ""


def kept(pairs: Pairs, party: Party) -> str:
    """What a cookie keeps of a request while the browser is at the provider."""
    names = ("post_logout_redirect_uri", "state")
    return urlencode({"client_id": party.client} | {name: one(pairs, name) for name in names})
