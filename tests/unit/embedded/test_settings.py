"""What `verbund up` hands to its parts."""

from pathlib import Path

import pytest
from verbund.embedded import settings
from verbund.embedded.home import Home
from verbund.embedded.users import caller
from verbund.settings import SettingError

HOME = Home(Path("/srv/mesh"), Path("/srv/mesh"), caller(), Path("/srv/mesh/run"))


def test_places_in_the_home_are_not_to_choose() -> None:
    """A setting left over from elsewhere cannot lead a part out of the home; what may be chosen is kept."""
    given = {"VERBUND_DATABASE_DSN": "postgresql:///elsewhere", "VERBUND_GATEWAY_RATE_READ": "5"}
    found = settings.for_parts(HOME, given)
    assert found["VERBUND_DATABASE_DSN"] == "postgresql:///verbund?host=/srv/mesh/run"
    assert found["VERBUND_GATEWAY_RATE_READ"] == "5"


def test_gateway_and_services_name_the_same_issuer() -> None:
    """Tokens are issued and checked for the gateway's URL, whichever port it has."""
    found = settings.for_parts(HOME, {"VERBUND_GATEWAY_PORT": "9443"})
    assert found["VERBUND_GATEWAY_ISSUER"] == found["VERBUND_SERVING_ISSUER"] == "https://127.0.0.1:9443"


def test_spans_go_where_the_user_says() -> None:
    """The built-in store is the default; a user's own OpenTelemetry settings stand."""
    assert settings.for_parts(HOME, {})["OTEL_EXPORTER_OTLP_ENDPOINT"] == "unix:/srv/mesh/run/traces.grpc.sock"
    own = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4317"}
    assert settings.for_parts(HOME, own)["OTEL_EXPORTER_OTLP_ENDPOINT"] == own["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in settings.for_parts(HOME, {"OTEL_SDK_DISABLED": "true"})
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in settings.for_parts(HOME, {"OTEL_TRACES_SAMPLER": "always_off"})


@pytest.mark.parametrize(
    ("given", "url", "local"),
    [
        ({}, "https://127.0.0.1:8443", True),
        ({"VERBUND_GATEWAY_HOST": "::"}, "https://[::1]:8443", True),
        ({"VERBUND_GATEWAY_HOST": "::1", "VERBUND_GATEWAY_PORT": "9443"}, "https://[::1]:9443", True),
        ({"VERBUND_GATEWAY_ISSUER": "https://mesh.example"}, "https://mesh.example", False),
    ],
)
def test_the_url_is_one_that_a_client_can_call(given: dict[str, str], url: str, *, local: bool) -> None:
    """Listening everywhere has no URL of its own; a proxy's URL is taken as it is stated."""
    found = settings.address(given)
    assert (found.url, found.is_local) == (url, local)


def test_a_wrong_port_is_refused_by_its_name() -> None:
    """The message names the variable."""
    with pytest.raises(SettingError, match="VERBUND_GATEWAY_PORT takes a whole number"):
        settings.address({"VERBUND_GATEWAY_PORT": "https"})
