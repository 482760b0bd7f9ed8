"""The gateway as a client meets it: certificate, answer, clock, keys, a token, a call through everything."""

import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from verbund.doctor.findings import Finding, ok, problem, skipped, warning
from verbund.doctor.subject import Subject
from verbund.identity.routes import JWKS_PATH
from verbund.sdk.client import Client
from verbund.sdk.refusals import NotReady, Refused, TokenRefused

ANSWER_SECONDS_MAX = 3.0
CALL_SECONDS_MAX = 5.0
SKEW_SECONDS_WANTED = 5.0
SKEW_SECONDS_MAX = 60.0  # how far clocks of client and mesh may differ before assertions are refused
RENEWED = timedelta(days=14)  # `verbund up` renews 30 days before the end
OPERATOR = "The operator of this machine"
TRACE_NOTE = "trace"


def gateway(subject: Subject) -> Iterator[Finding]:
    """Everything that needs the gateway's answer; where it gives none, the rest is not asked."""
    if subject.ready is None or not subject.mine:
        return
    try:
        trust = ssl.create_default_context(cafile=subject.ready["ca"])
    except (OSError, ValueError) as error:
        yield problem("certificate", f"{subject.ready['ca']} cannot be read: {error}", remedy="restart the mesh.")
        return
    now = subject.clock()
    try:
        presented = presented_to(subject.ready["gateway"], trust)
    except ssl.SSLError as error:
        yield untrusted(error, now)
        return
    except OSError as error:
        says = f"{subject.ready['gateway']} cannot be reached: {error}"
        remedy = "see log/gateway.log in the home, and start the mesh again."
        yield problem("gateway", says, who=OPERATOR, remedy=remedy)
        return
    authorities: list[Mapping[str, Any]] = list(trust.get_ca_certs())
    yield certificate(min([presented, *authorities], key=lambda found: moment(str(found["notAfter"]))), now)
    yield from answers(subject, trust, now)


def presented_to(url: str, trust: ssl.SSLContext) -> dict[str, Any]:
    """The gateway's certificate, verified; raises OSError, of which SSLError is one."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 443
    with (
        socket.create_connection((host, port), timeout=ANSWER_SECONDS_MAX) as connection,
        trust.wrap_socket(connection, server_hostname=host) as secured,
    ):
        return dict(secured.getpeercert() or {})


def untrusted(error: ssl.SSLError, now: datetime) -> Finding:
    """Why the certificate is not taken. Mostly it is a clock."""
    says = f"the gateway's certificate is not accepted: {getattr(error, 'verify_message', '') or error}"
    remedy = f"check this machine's clock, which says {now:%Y-%m-%d %H:%M} UTC; then start the mesh again."
    return problem("certificate", says, who=OPERATOR, remedy=remedy)


def certificate(first: Mapping[str, Any], now: datetime) -> Finding:
    """The end of the certificate that ends first, the gateway's or its authority's."""
    end = moment(str(first["notAfter"]))
    says = f"good until {end:%Y-%m-%d}"
    if end - now < RENEWED:
        remedy = "restart the mesh: it renews what ends within 30 days. If it does not, see log/ in the home."
        return warning("certificate", f"{says}: it should have been renewed", who=OPERATOR, remedy=remedy)
    return ok("certificate", says)


def moment(text: str) -> datetime:
    """A time as certificates state it."""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def answers(subject: Subject, trust: ssl.SSLContext, now: datetime) -> Iterator[Finding]:
    """What is asked over HTTP."""
    assert subject.ready is not None
    with httpx.Client(
        base_url=subject.ready["gateway"], verify=trust, timeout=ANSWER_SECONDS_MAX, trust_env=False
    ) as http:
        try:
            health = http.get("/healthz")
        except httpx.TransportError as error:
            says = f"{subject.ready['gateway']}/healthz does not answer: {error}"
            yield problem("gateway", says, who=OPERATOR, remedy="see log/gateway.log, and start the mesh again.")
            return
        if not health.is_success:
            says = f"/healthz answers {health.status_code}"
            yield problem("gateway", says, who=OPERATOR, remedy="see log/gateway.log, and start the mesh again.")
            return
        yield ok("gateway", f"{subject.ready['gateway']} answers")
        yield from skew(health, now)
        yield from keys(subject, http)
        yield from sign_in(subject, http)
    yield from call(subject)


def skew(answer: httpx.Response, now: datetime) -> Iterator[Finding]:
    """How far the gateway's clock is from ours."""
    try:
        theirs = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return
    seconds = abs((now - theirs).total_seconds())
    says = f"{seconds:.0f} s apart from the gateway's"
    remedy = "let both machines keep their time by NTP (timedatectl set-ntp true)."
    if seconds > SKEW_SECONDS_MAX:
        yield problem("clock", f"{says}: tokens are refused", who=OPERATOR, remedy=remedy)
    elif seconds > SKEW_SECONDS_WANTED:
        yield warning("clock", says, who=OPERATOR, remedy=remedy)
    else:
        yield ok("clock", "the same as the gateway's")


def keys(subject: Subject, http: httpx.Client) -> Iterator[Finding]:
    """Whether the public keys are published, and are those that identity has put down last."""
    who, remedy = OPERATOR, "see log/identity-0.log in the home."
    try:
        answer = http.get(JWKS_PATH)
        served = {key["kid"] for key in answer.raise_for_status().json()["keys"]}
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        yield problem("keys-published", f"{JWKS_PATH} gives no keys: {type(error).__name__}", who=who, remedy=remedy)
        return
    try:
        assert subject.home is not None
        written = {key["kid"] for key in json.loads((subject.home.published / "jwks.json").read_bytes())["keys"]}
    except (OSError, ValueError, KeyError, TypeError):
        written = set()
    if not served or served != written:
        says = f"{len(served)} keys are served, {len(written)} are in published/jwks.json, and they are not the same"
        yield problem("keys-published", says, who=who, remedy=remedy)
    else:
        yield ok("keys-published", f"{len(served)} public keys, the same everywhere")


def sign_in(subject: Subject, http: httpx.Client) -> Iterator[Finding]:
    """Whether the built-in providers at which people sign in answer, where the mesh runs with them."""
    assert subject.ready is not None
    for issuer in sorted({str(person["issuer"]) for person in subject.ready.get("people", ())}):
        try:
            answer = http.get(f"{issuer}/.well-known/openid-configuration").raise_for_status().json()
            right = isinstance(answer, dict) and answer.get("issuer") == issuer
        except (httpx.HTTPError, ValueError) as error:
            says = f"people cannot sign in at {issuer}: {type(error).__name__}"
            log = "log/keycloak.log" if "keycloak" in subject.processes() else "log/provider.log"
            yield problem(
                "sign-in",
                says,
                who=OPERATOR,
                remedy=f"see {log} in the home.",
            )
            continue
        if right:
            yield ok("sign-in", f"{issuer} answers")
        else:
            remedy = "start the mesh again: it was made for another address."
            yield problem("sign-in", f"{issuer} calls itself another", who=OPERATOR, remedy=remedy)


def call(subject: Subject) -> Iterator[Finding]:
    """A token for the first system of ready.json, and a read with it."""
    if not (subject.ready and subject.ready["systems"]):
        yield skipped("call", "ready.json names no system to call as")
        return
    home = Path(subject.named)
    try:
        with Client.from_home(home) as client:
            client.http.timeout = CALL_SECONDS_MAX
            client.tokens.token()
            yield ok("token", f"{client.client_id} gets one")
            answer = client.http.get("/v1/organisations", params={"pageSize": 1})
    except (TokenRefused, httpx.TransportError) as error:
        remedy = "see log/identity-0.log; a key that is refused is added again with :addKey, or its system resumed."
        yield problem("token", f"no token for the first system: {error}", who=OPERATOR, remedy=remedy)
        return
    except (NotReady, OSError, ValueError) as error:
        yield problem("token", f"the first system's key cannot be used: {error}", remedy="start the mesh again.")
        return
    subject.notes[TRACE_NOTE] = answer.headers.get("x-trace-id", "")
    if answer.is_success:
        yield ok("call", f"read through gateway, service and database (trace {subject.notes[TRACE_NOTE]})")
    else:
        refused = Refused.from_http(answer)
        trace = f"trace {subject.notes[TRACE_NOTE]}"
        remedy = refused.remedy or "see the services' logs in log/."
        yield problem("call", f"refused: {refused} ({trace})", who=OPERATOR, remedy=remedy)


CHECKS = (gateway,)
