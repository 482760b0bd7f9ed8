"""The way into the mesh: one gRPC channel and one HTTP client, with the caller's token, trusting the mesh's CA only.

Documents have methods of their own (`send`, `inbox`, `download`); everything else is called by its stub or its path:

with Client.from_home(home) as client:
    found = ProjectServiceStub(client.channel).SearchProjects(SearchProjectsRequest(query="Platz"), timeout=5)
    again = client.http.get("/v1/projects:search", params={"query": "Platz"}).json()
"""

import base64
import json
import ssl
from collections.abc import Generator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import grpc
import httpx

from verbund.exchange.v1.delivery_service_pb2 import Delivery, Document, TimelineEntry
from verbund.policy import catalogue
from verbund.resources.names import organisation_of
from verbund.sdk import transfer
from verbund.sdk.calls import Refusing
from verbund.sdk.deliveries import Deliveries, Named, Sent
from verbund.sdk.refusals import NotReady
from verbund.sdk.tokens import Given, GivenTokens, Tokens, TokenSource, read_key
from verbund.sdk.transfer import Progress, untold
from verbund.sdk.watching import Inbox

TIMEOUT_SECONDS = 30.0
JWT_DOTS = 2
RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
CHANNEL_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.keepalive_time_ms", 60_000),  # a watch is quiet for hours; something between would forget it
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)


class Client:
    """A way into the mesh. Safe for threads; close it, or use it as a context manager.

    Who calls is said in one of three ways: `client_id` and `key` of a system; `home_token`, a person's ID token from
    their own provider, or what gives one, for which the mesh gives its token (with a system's key too, the system acts
    for the person); or `token`, a token of the mesh, or what gives one.
    """

    def __init__(
        self,
        gateway: str = "https://127.0.0.1:8443",
        *,
        ca: Path,
        client_id: str = "",
        key: Path | None = None,
        token: Given | None = None,
        home_token: Given | None = None,
        token_endpoint: str | None = None,
    ) -> None:
        if bool(client_id) != bool(key) or (token is not None) == bool(client_id or home_token is not None):
            raise ValueError("say who calls: client_id and key, or home_token (with them or alone), or token")
        # Neither proxies nor CAs of the environment: a token goes to this gateway or nowhere.
        # `retries` counts attempts to connect: a request is never repeated here.
        transport = httpx.HTTPTransport(verify=ssl.create_default_context(cafile=str(ca)), retries=2, trust_env=False)
        self._endpoint_http = httpx.Client(transport=transport, timeout=TIMEOUT_SECONDS, trust_env=False)
        self.client_id = client_id
        self.tokens: TokenSource = (
            GivenTokens(token)
            if token is not None
            else Tokens(
                endpoint=token_endpoint or f"{gateway}/oauth2/token",
                client_id=client_id,
                key=read_key(key) if key else None,
                http=self._endpoint_http,
                home_token=home_token,
            )
        )
        self.http = httpx.Client(
            base_url=gateway,
            transport=transport,
            auth=BearerAuth(self.tokens, gateway),
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
        self.channel = open_channel(gateway, ca, self.tokens)

    @classmethod
    def from_home(
        cls, home: Path, system: str | None = None, *, token: Given | None = None, home_token: Given | None = None
    ) -> Self:
        """The client of a system that `ready.json` lists, of the first one where none is named; or of whose the token
        is. Raises NotReady.
        """
        try:
            ready = json.loads((home / "ready.json").read_text())
        except FileNotFoundError:
            raise NotReady(f"no mesh is running at {home}; start one with `verbund up`") from None
        place = {"ca": Path(ready["ca"]), "token_endpoint": ready["token_endpoint"]}
        if token is not None or (home_token is not None and system is None):
            return cls(ready["gateway"], token=token, home_token=home_token, **place)
        entries = [entry for entry in ready["systems"] if system in (None, entry["name"])]
        if not entries:
            listed = ", ".join(entry["name"] for entry in ready["systems"]) or "none"
            raise NotReady(f"{home / 'ready.json'} lists no system {system or ''}".rstrip() + f"; it lists {listed}")
        return cls(
            ready["gateway"],
            client_id=entries[0]["client_id"],
            key=Path(entries[0]["key"]),
            home_token=home_token,
            **place,
        )

    @property
    def organisation(self) -> str:
        """The organisation that the caller belongs to, by its resource name."""
        return organisation_of(self.client_id) if self.client_id else str(claims_of(self.tokens.token())["org"])

    @cached_property
    def deliveries(self) -> Deliveries:
        """What is sent and received, step by step; `send` and `inbox` are what one mostly wants."""
        return Deliveries(self.channel, lambda: self.organisation)

    def send(
        self,
        sources: Sent | Sequence[Sent],
        *,
        to: str,
        subject: str,
        message: str = "",
        project: str = "",
        reference: str = "",
        progress: Progress = untold,
        request_id: str = "",
    ) -> Delivery:
        """Sends files (paths, bytes, open files, `File`) to a mailbox; the submitted delivery. Raises Refused.

        Repeating it, after a crash too, has one effect: `Deliveries.send` says how.
        """
        return self.deliveries.send(
            sources,
            to=to,
            subject=subject,
            message=message,
            project=project,
            reference=reference,
            progress=progress,
            request_id=request_id,
        )

    def withdraw(self, delivery: Named) -> Delivery:
        """Takes back what was sent, before it is accepted or rejected. Raises Refused."""
        return self.deliveries.withdraw(delivery)

    def timeline(self, delivery: Named) -> Sequence[TimelineEntry]:
        """What happened to a delivery, the oldest first, with who is next and until when. Raises Refused."""
        return self.deliveries.timeline(delivery)

    def inbox(self, mailbox: str) -> Inbox:
        """A mailbox: what waits, what arrives, and what is done with it."""
        return Inbox(self.channel, self.deliveries, mailbox)

    def download(self, document: Document, target: Path | str, *, progress: Progress = untold) -> Path:
        """Puts a document at `target`, or into it where it is a directory: whole and verified by its SHA-256, or not at
        all. Raises Refused, Damaged.
        """
        return transfer.download(self.channel, document, Path(target), progress)

    def close(self) -> None:
        """Ends the connections; open streams are cancelled."""
        self.channel.close()
        self.http.close()
        self._endpoint_http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BearerAuth(httpx.Auth):
    """Adds the token to requests for the gateway, and to no other host's."""

    def __init__(self, tokens: TokenSource, gateway: str) -> None:
        self._tokens = tokens
        self._origin = origin_of(httpx.URL(gateway))

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Signs one request."""
        if origin_of(request.url) == self._origin:
            request.headers["authorization"] = f"Bearer {self._tokens.token()}"
        yield request


class BearerPlugin(grpc.AuthMetadataPlugin):
    """Adds the token to every call of a channel."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:  # noqa: ARG002
        """Signs one call; runs on a thread of its own, so that a refresh holds nobody up."""
        try:
            metadata = (("authorization", f"Bearer {self._tokens.token()}"),)
        except Exception as error:  # noqa: BLE001 - whatever it is, the call must end with it
            callback((), error)
        else:
            callback(metadata, None)


def open_channel(gateway: str, ca: Path, tokens: TokenSource) -> grpc.Channel:
    """A channel over TLS with the token, that repeats calls only where the method's rule says that is safe, and raises
    Refused where they fail.
    """
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(ca.read_bytes()), grpc.metadata_call_credentials(BearerPlugin(tokens))
    )
    options = (*CHANNEL_OPTIONS, ("grpc.service_config", json.dumps(service_config())))
    channel = grpc.secure_channel(urlsplit(gateway).netloc, credentials, options=options)
    return grpc.intercept_channel(channel, Refusing(lambda: getattr(tokens, "failure", None)))


def claims_of(token: str) -> dict[str, Any]:
    """What a token says, unverified: it is the caller's own. Raises ValueError."""
    payload = token.split(".")[1] if token.count(".") == JWT_DOTS else ""
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def service_config() -> dict[str, list[dict[str, Any]]]:
    """What gRPC repeats by itself, from the rules in the protos."""
    paths = [path.strip("/").split("/") for path, rule in catalogue.rules().items() if rule.safe_to_retry]
    return {
        "methodConfig": [
            {"name": [{"service": service, "method": method} for service, method in paths], "retryPolicy": RETRY}
        ]
    }


def origin_of(url: httpx.URL) -> tuple[str, str, int | None]:
    """What must be the same for the token to be sent."""
    return (url.scheme, url.host, url.port)
