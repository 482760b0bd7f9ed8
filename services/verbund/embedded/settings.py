"""The settings of `verbund up`, VERBUND_EMBEDDED_*, and what it sets for the parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from verbund.embedded import browsers, postgres
from verbund.embedded.home import Home
from verbund.provider import stage
from verbund.provider.settings import DEFAULT_PORT as DEFAULT_PROVIDER_PORT
from verbund.settings import SettingError, read

PREFIX = "VERBUND_EMBEDDED_"
MIB = 1024 * 1024
PORT_SETTING = "VERBUND_GATEWAY_PORT"
QUERY_PORT_SETTING = "VERBUND_TRACES_QUERY_PORT"
PROVIDER_PORT_SETTING = "VERBUND_PROVIDER_PORT"
DEFAULT_PORT = 8443
DEFAULT_HOST = "127.0.0.1"
DEFAULT_WORKERS = 2
DEFAULT_DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSettings:
    """What only the embedded mode knows."""

    # trial or production. In production the built-in provider with its invented people does not start (--idp none).
    stage: str = stage.TRIAL
    # A part's log is cut when it is larger; one older piece is kept.
    log_mib_max: int = 8
    # How long one part may take to become ready.
    start_seconds_max: float = 60.0
    # The first operator: the organisation that runs this mesh, and the system that acts for it.
    operator_organisation: str = "operator"
    operator_title: str = "Operator of this mesh"
    operator_system: str = "administration"

    def __post_init__(self) -> None:
        """Refuses stages that there are not, and bounds of nothing."""
        if self.stage not in stage.STAGES:
            raise ValueError(f"STAGE takes {' or '.join(stage.STAGES)}, not {self.stage!r}")
        if self.log_mib_max < 1 or self.start_seconds_max <= 0:
            raise ValueError("LOG_MIB_MAX and START_SECONDS_MAX must be greater than 0")

    @property
    def operator(self) -> str:
        """The operator's system by its resource name."""
        return f"organisations/{self.operator_organisation}/systems/{self.operator_system}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the gateway listens, and the URL that clients and tokens name it by."""

    host: str
    port: int
    url: str

    @property
    def is_local(self) -> bool:
        """Whether clients call the gateway directly, and not a proxy before it."""
        return self.url == local_url(self.host, self.port)

    @property
    def name(self) -> str:
        """The host in the URL: the certificate must be for it."""
        return urlsplit(self.url).hostname or self.host


def address(environment: Mapping[str, str]) -> Address:
    """The gateway's address by the settings that the gateway has too; raises SettingError."""
    port = read(PORT_SETTING, environment.get(PORT_SETTING, str(DEFAULT_PORT)), int)
    host = environment.get("VERBUND_GATEWAY_HOST", DEFAULT_HOST)
    return Address(host=host, port=port, url=environment.get("VERBUND_GATEWAY_ISSUER") or local_url(host, port))


def local_url(host: str, port: int) -> str:
    """The URL of the gateway on this machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - the reverse: what a client calls
    return f"https://[{reachable}]:{port}" if ":" in reachable else f"https://{reachable}:{port}"


def query_port(environment: Mapping[str, str]) -> int:
    """The port at which traces are shown to this machine, 0 for none; raises SettingError."""
    name = QUERY_PORT_SETTING
    return int(read(name, environment.get(name, "0"), int))


def provider_port(environment: Mapping[str, str]) -> int:
    """The built-in provider's port; raises SettingError where it is the gateway's."""
    name = PROVIDER_PORT_SETTING
    port = int(read(name, environment.get(name, str(DEFAULT_PROVIDER_PORT)), int))
    if port == address(environment).port:
        raise SettingError(f"{name} and {PORT_SETTING} are both {port}: the provider and the gateway need one each")
    return port


def workers(environment: Mapping[str, str]) -> int:
    """How many workers each area has; raises SettingError."""
    name = "VERBUND_SERVING_WORKERS"
    return int(read(name, environment.get(name, str(DEFAULT_WORKERS)), int))


def drain_seconds(environment: Mapping[str, str]) -> float:
    """How long a worker may take to finish its calls; raises SettingError."""
    name = "VERBUND_SERVING_DRAIN_SECONDS"
    return float(read(name, environment.get(name, str(DEFAULT_DRAIN_SECONDS)), float))


def for_parts(
    home: Home, environment: Mapping[str, str], *, provider: bool = True, keycloak: bool = False
) -> dict[str, str]:
    """The environment of every part: the caller's own settings, and the places in the home, which are not to choose.

    It holds paths and addresses, no secret: whoever may read a process's environment learns nothing. `provider` says
    whether the built-in provider runs, `keycloak` whether Keycloak does.
    """
    gateway = address(environment)
    places = {
        "VERBUND_HOME": home.path,
        "VERBUND_CONSOLE_ORIGIN": gateway.url,
        "VERBUND_CONSOLE_SOCKET_DIR": home.run,
        "VERBUND_CONSOLE_WORKERS": workers(environment),
        "VERBUND_DATABASE_DSN": postgres.dsn(home),
        "VERBUND_EXCHANGE_BLOB_DIR": home.blobs,
        "VERBUND_GATEWAY_CONSOLE_SECRET_FILE": browsers.client_file(home),
        "VERBUND_GATEWAY_COOKIE_SECRET_FILE": browsers.cookie_file(home),
        "VERBUND_GATEWAY_CERTIFICATE_FILE": home.tls / "server.pem",
        "VERBUND_GATEWAY_DIRECTORY": home.gateway,
        "VERBUND_GATEWAY_ISSUER": gateway.url,
        "VERBUND_GATEWAY_KEY_FILE": home.tls / "server.key",
        "VERBUND_GATEWAY_SOCKET_DIRECTORY": home.run,
        "VERBUND_GATEWAY_WORKERS": workers(environment),
        "VERBUND_IDENTITY_CONSOLE_SECRET_FILE": browsers.client_file(home),
        "VERBUND_IDENTITY_KEY_ENCRYPTION_FILE": home.keys / "key-encryption.json",
        "VERBUND_IDENTITY_PUBLISH_DIR": home.published,
        "VERBUND_SERVING_ISSUER": gateway.url,
        "VERBUND_SERVING_JWKS_FILE": home.published / "jwks.json",
        "VERBUND_SERVING_REVOCATIONS_FILE": home.published / "revocations.json",
        "VERBUND_SERVING_SOCKET_DIR": home.run,
        "VERBUND_TRACES_DATABASE": home.traces,
        "VERBUND_TRACES_QUERY_SOCKET": home.run / "traces-0.http.sock",
        "VERBUND_TRACES_SOCKET": home.run / "traces.grpc.sock",
    }
    traces = {} if exports_itself(environment) else built_in_traces(home)
    people = local_issuers(home) if provider or keycloak else {}
    people |= built_in_provider(home, gateway) if provider else {}
    return {**environment, **{name: str(place) for name, place in places.items()}, **traces, **people}


def local_issuers(home: Home) -> dict[str, str]:
    """What identity needs to reach a provider whose address is of this machine."""
    return {
        "VERBUND_IDENTITY_PROVIDER_CA_FILE": str(home.tls / "ca.pem"),
        "VERBUND_IDENTITY_PROVIDER_PRIVATE_ADDRESSES": "true",
    }


def built_in_provider(home: Home, gateway: Address) -> dict[str, str]:
    """The built-in provider's own settings."""
    return {
        "VERBUND_PROVIDER_CERTIFICATE_FILE": str(home.tls / "provider.pem"),
        "VERBUND_PROVIDER_DIRECTORY": str(home.provider),
        "VERBUND_PROVIDER_KEY_FILE": str(home.tls / "provider.key"),
        "VERBUND_PROVIDER_POST_LOGOUT_REDIRECT_URIS": f"{gateway.url}/",
        "VERBUND_PROVIDER_REDIRECT_URIS": f"{gateway.url}/oauth2/callback",
    }


def exports_itself(environment: Mapping[str, str]) -> bool:
    """Whether the caller has a place for traces already, or wants none."""
    chosen = ("OTEL_EXPORTER_OTLP_", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED")
    return any(name.startswith(chosen) for name in environment)


def built_in_traces(home: Home) -> dict[str, str]:
    """Sends the spans to the store in the home."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"unix:{home.run / 'traces.grpc.sock'}",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
    }
