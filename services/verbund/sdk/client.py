"""The way into the mesh: one gRPC channel and one HTTP client, with the system's token, trusting the mesh's CA only.

An example, where `home` is the mesh's data directory:

with Client.from_home(home) as client:
    found = ProjectServiceStub(client.channel).SearchProjects(SearchProjectsRequest(query="Platz"), timeout=5)
    again = client.http.get("/v1/projects:search", params={"query": "Platz"}).json()
"""

import json
import ssl
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import grpc
import httpx

from verbund.policy import catalogue
from verbund.sdk.refusals import NotReady
from verbund.sdk.tokens import Tokens, read_key

TIMEOUT_SECONDS = 30.0
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
    """A system's way into the mesh. Safe for threads; close it, or use it as a context manager."""

    def __init__(
        self,
        gateway: str = "https://127.0.0.1:8443",
        *,
        ca: Path,
        client_id: str,
        key: Path,
        token_endpoint: str | None = None,
    ) -> None:
        # Neither proxies nor CAs of the environment: a token goes to this gateway or nowhere.
        # `retries` counts attempts to connect: a request is never repeated here.
        transport = httpx.HTTPTransport(verify=ssl.create_default_context(cafile=str(ca)), retries=2, trust_env=False)
        self._endpoint_http = httpx.Client(transport=transport, timeout=TIMEOUT_SECONDS, trust_env=False)
        self.client_id = client_id
        self.tokens = Tokens(
            endpoint=token_endpoint or f"{gateway}/oauth2/token",
            client_id=client_id,
            key=read_key(key),
            http=self._endpoint_http,
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
    def from_home(cls, home: Path, system: str | None = None) -> Self:
        """The client of a system that `ready.json` lists, of the first one where none is named. Raises NotReady."""
        try:
            ready = json.loads((home / "ready.json").read_text())
        except FileNotFoundError:
            raise NotReady(f"no mesh is running at {home}; start one with `verbund up`") from None
        entries = [entry for entry in ready["systems"] if system in (None, entry["name"])]
        if not entries:
            raise NotReady(f"{home / 'ready.json'} lists no system {system or ''}".rstrip())
        return cls(
            ready["gateway"],
            ca=Path(ready["ca"]),
            token_endpoint=ready["token_endpoint"],
            client_id=entries[0]["client_id"],
            key=Path(entries[0]["key"]),
        )

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

    def __init__(self, tokens: Tokens, gateway: str) -> None:
        self._tokens = tokens
        self._origin = origin_of(httpx.URL(gateway))

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Signs one request."""
        if origin_of(request.url) == self._origin:
            request.headers["authorization"] = f"Bearer {self._tokens.token()}"
        yield request


class BearerPlugin(grpc.AuthMetadataPlugin):
    """Adds the token to every call of a channel."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:  # noqa: ARG002
        """Signs one call; runs on a thread of its own, so that a refresh holds nobody up."""
        try:
            metadata = (("authorization", f"Bearer {self._tokens.token()}"),)
        except Exception as error:  # noqa: BLE001 - whatever it is, the call must end with it
            callback((), error)
        else:
            callback(metadata, None)


def open_channel(gateway: str, ca: Path, tokens: Tokens) -> grpc.Channel:
    """A channel over TLS with the token, that repeats calls only where the method's rule says that is safe."""
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(ca.read_bytes()), grpc.metadata_call_credentials(BearerPlugin(tokens))
    )
    options = (*CHANNEL_OPTIONS, ("grpc.service_config", json.dumps(service_config())))
    return grpc.secure_channel(urlsplit(gateway).netloc, credentials, options=options)


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
