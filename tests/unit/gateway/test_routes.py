"""What has a rule is routed under it, and nothing else is."""

import re
from typing import Any

import pytest
from verbund.policy import catalogue
from verbund.policy.roles import roles_holding
from verbund.policy.table import PolicyError
from verbund.policy.v1 import policy_pb2
from verbund.serving.infrastructure import REFLECTION_RULE
from verbund_gateway import jwt, limits, rbac, sessions, transcoding
from verbund_gateway.extension import METADATA
from verbund_gateway.golden import EXAMPLE
from verbund_gateway.routes import route_configuration

from tests.support.probe import service


@pytest.fixture(scope="module")
def routes() -> list[dict[str, Any]]:
    """The catalogue's routes."""
    configuration = route_configuration(EXAMPLE, catalogue.AREAS, catalogue.HTTP_ROUTES)
    found: list[dict[str, Any]] = configuration["virtual_hosts"][0]["routes"]
    return found


def by_path(routes: list[dict[str, Any]], path: str) -> dict[str, Any]:
    """The route that a path takes first."""
    return next(route for route in routes if path in (route["match"].get("path"), route["match"].get("prefix")))


@pytest.mark.parametrize(("path", "rule"), catalogue.rules().items())
def test_every_method_is_routed_under_its_rule(routes: list[dict[str, Any]], path: str, rule: Any) -> None:
    """Each method of the catalogue has a route that carries its rule's name, permission and refusals."""
    route = by_path(routes, path)
    said = route["metadata"]["filter_metadata"][METADATA]
    assert (route["name"], said["rule"], said["permission"]) == (rule.name, rule.name, rule.permission)
    denied = route["typed_per_filter_config"][rbac.FILTER]["rbac"]["rules"]
    assert denied["action"] == "DENY"
    assert set(denied["policies"]) <= set(said) | {rbac.TOKEN}
    assert bool(denied["policies"]) == (rule.audience != policy_pb2.AUDIENCE_PUBLIC)
    assert (jwt.FILTER in route["typed_per_filter_config"]) == (rule.audience == policy_pb2.AUDIENCE_PUBLIC)
    assert ("reset" in route["route"]["retry_policy"]["retry_on"]) == rule.safe_to_retry


@pytest.mark.parametrize("rule", [rule for rule in catalogue.rules().values() if rule.permission])
def test_permission_is_held_by_some_role(rule: Any) -> None:
    """A rule that nobody could meet would be a method that nobody can call."""
    assert roles_holding(rule.permission)


@pytest.mark.parametrize("found", catalogue.HTTP_ROUTES)
def test_every_http_route(routes: list[dict[str, Any]], found: Any) -> None:
    """Each plain HTTP route goes to its area, asks for a token unless it is public, and is not transcoded."""
    route = by_path(routes, found.path)
    filters = route["typed_per_filter_config"]
    assert route["route"]["cluster"] == f"{found.area}-http"
    assert asks_for_a_token(route) == (found.rule.audience != policy_pb2.AUDIENCE_PUBLIC)
    assert transcoding.FILTER in filters


def asks_for_a_token(route: dict[str, Any]) -> bool:
    """Whether a token that is none is refused."""
    return not route.get("typed_per_filter_config", {}).get(jwt.FILTER, {}).get("disabled", False)


def test_who_has_no_token_comes_through_where_the_area_refuses_them(routes: list[dict[str, Any]]) -> None:
    """On those routes and no other; they are counted by address there, and a session that is over is no redirect."""
    through = {found.path for found in catalogue.HTTP_ROUTES if found.refuses_itself}
    assert through
    for found in catalogue.HTTP_ROUTES:
        route = by_path(routes, found.path)
        filters, said = route["typed_per_filter_config"], route["metadata"]["filter_metadata"][METADATA]
        passes = found.path in through
        assert (filters.get(jwt.FILTER, {}).get("requirement_name") == jwt.UNLESS_MISSING) == passes
        assert ("stranger_class" in said) == passes
        assert ("allow_failed_matcher" in filters.get(sessions.FILTER, {}).get("config", {})) == passes
        denied = filters[rbac.FILTER]["rbac"]["rules"]["policies"]
        assert passes <= (rbac.TOKEN in denied and rbac.PERMISSION in denied)


def test_nothing_else_is_open(routes: list[dict[str, Any]]) -> None:
    """A route asks for no token only where its rule is public or the gateway answers; the last one goes nowhere.

    A public method's path in JSON goes nowhere either, until the call is transcoded.
    """
    public = {route.path for route in catalogue.HTTP_ROUTES if route.rule.audience == policy_pb2.AUDIENCE_PUBLIC}
    public |= {path for path, rule in catalogue.rules().items() if rule.audience == policy_pb2.AUDIENCE_PUBLIC}
    in_json = {f"{rule.name} in JSON" for path, rule in catalogue.rules().items() if path in public}
    for route in routes:
        if not asks_for_a_token(route):
            match = route["match"]
            nowhere = route.get("route", {}).get("cluster") == "none" and route["name"] in in_json
            assert nowhere or "direct_response" in route or public & {match.get("path"), match.get("prefix")}
    assert routes[-1]["match"] == {"prefix": "/"}
    assert rbac.FILTER not in routes[-1].get("typed_per_filter_config", {})
    assert rbac.default()["typed_config"]["rules"] == {"action": "ALLOW", "policies": {}}


def test_what_moves_much_has_its_own_limits(routes: list[dict[str, Any]]) -> None:
    """Uploads and downloads may be large and last, but not be silent; watches may be silent; calls may do neither."""
    upload = by_path(routes, "/verbund.exchange.v1.UploadService/UploadDocument")
    download = by_path(routes, "/verbund.exchange.v1.UploadService/DownloadDocument")
    for route in (upload, download, by_path(routes, "/files/")):
        assert route["route"]["idle_timeout"] == f"{EXAMPLE.stream_idle_seconds}s"
        assert route["route"]["max_stream_duration"]["max_stream_duration"] == f"{EXAMPLE.stream_seconds_max}s"
    watch = by_path(routes, "/verbund.exchange.v1.DeliveryService/WatchDeliveries")
    assert watch["route"]["idle_timeout"] == "0s"
    in_json = [route for route in routes if route["name"].endswith("UploadService.UploadDocument in JSON")]
    assert [route["match"]["headers"][0]["string_match"] for route in in_json] == [{"exact": "PUT"}]
    unbounded = [route for route in routes if limits.BODY in route.get("typed_per_filter_config", {})]
    assert unbounded == [*in_json, upload]
    unbuffered = [route for route in routes if limits.BUFFER in route.get("typed_per_filter_config", {})]
    assert {route["name"] for route in unbuffered} == {upload["name"], REFLECTION_RULE.name}


def test_method_without_a_rule() -> None:
    """A method without a rule stops the rendering, by name."""
    probe = service(
        "tests.unruled",
        {
            "Known": policy_pb2.Rule(audience=policy_pb2.AUDIENCE_SIGNED_IN, rate=policy_pb2.RATE_READ),
            "Forgotten": None,
        },
    )
    with pytest.raises(PolicyError, match=r"tests\.unruled\.Probe\.Forgotten"):
        route_configuration(EXAMPLE, {"registry": (probe,)}, ())


@pytest.mark.parametrize(
    ("template", "path", "matches"),
    [
        ("/v1/projects", "/v1/projects", True),
        ("/v1/projects", "/v1/projects/a", False),
        ("/v1/{name=projects/*}", "/v1/projects/citylab.a", True),
        ("/v1/{name=projects/*}", "/v1/projects/a/b", False),
        ("/v1/{name=projects/*}", "/v1/projects/a:close", False),
        ("/v1/{name=projects/*}:close", "/v1/projects/a:close", True),
        ("/v1/{name=projects/*}:close", "/v1/projects/a", False),
        ("/v1/{id}/x", "/v1/1/x", True),
        ("/v1/{path=files/**}", "/v1/files/a/b", True),
    ],
)
def test_path_regex(template: str, path: str, *, matches: bool) -> None:
    """A template's expression takes the template's paths and no others."""
    assert bool(re.fullmatch(transcoding.path_regex(template), path)) == matches
