"""Signing out at the provider (OpenID Connect RP-Initiated Logout 1.0)."""

import hmac
from dataclasses import dataclass

from verbund.openid.requests import Pairs, extended, values
from verbund.provider.requests import CLIENT_ID, Unanswerable
from verbund.provider.state import Form, Issuer
from verbund.provider.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Left:
    """The session has ended; the browser goes to `location`, or is told so where that is empty."""

    location: str = ""


@dataclass(frozen=True, slots=True)
class Confirm:
    """Nobody proved that the person wants this: they are asked."""

    form: str
    destination: str = ""


class Leaving:
    """Ends sessions of one issuer."""

    def __init__(self, issuer: Issuer, tokens: Tokens) -> None:
        self._issuer = issuer
        self._tokens = tokens

    def begin(self, pairs: Pairs, *, session: str, browser: str) -> Left | Confirm:
        """The answer to a logout request; raises Unanswerable where it wants to go where it may not."""
        given = {name: value for name, value in pairs if value}
        named = self._tokens.subject_of(given.get("id_token_hint", ""))
        leave_to = self._leave_to(pairs, trusted=named is not None)
        found = self._issuer.sessions.get(session)
        if found is not None and found.account.subject != named:
            return Confirm(self._issuer.forms.put(Form(browser=browser, leave_to=leave_to)), leave_to)
        self._issuer.sessions.take(session)
        return Left(leave_to)

    def confirmed(self, form: str, *, session: str, browser: str) -> Left:
        """The person wants it; raises Unanswerable for a form that is not this browser's, used or old."""
        shown = self._issuer.forms.take(form)
        if shown is None or shown.request or not hmac.compare_digest(shown.browser.encode(), browser.encode()):
            raise Unanswerable("form")
        self._issuer.sessions.take(session)
        return Left(shown.leave_to)

    def _leave_to(self, pairs: Pairs, *, trusted: bool) -> str:
        """The address after the sign-out, with the state; empty where none is asked for."""
        uris, clients = values(pairs, "post_logout_redirect_uri"), values(pairs, "client_id")
        if clients not in ([], [CLIENT_ID]):
            raise Unanswerable("client")
        if not uris:
            return ""
        known = trusted or clients == [CLIENT_ID]
        if len(uris) != 1 or not known or not self._issuer.client.may_leave_to(uris[0]):
            raise Unanswerable("redirect_uri")
        states = values(pairs, "state")
        return extended(uris[0], {"state": states[0]} if states else {})
