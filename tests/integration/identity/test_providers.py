"""ProviderService over the wire: its effects, its refusals, and what a stranger sees."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from verbund.identity.v1 import provider_service_pb2 as pb
from verbund.resources import etags

from tests.integration.identity.mesh import ISSUER, Metadata, Refused, wait
from tests.integration.identity.signing_in import SignIns, assurances
from tests.support.home_provider import CLIENT

ORGANISATION = "organisations/citylab"
STRANGER = "organisations/bezirksamt"


@pytest.fixture(scope="module")
def admin(sign_ins: SignIns) -> Metadata:
    """CityLAB's administrator."""
    return sign_ins.as_admin()


def update(sign_ins: SignIns, admin: Metadata, provider: pb.Provider, *paths: str, **more: Any) -> pb.Provider:
    """An update of some fields."""
    request = pb.UpdateProviderRequest(provider=provider, update_mask=FieldMask(paths=paths), **more)
    return sign_ins.providers.UpdateProvider(request, metadata=admin)


def test_a_draft_is_what_was_said_and_gives_nobody_a_token(sign_ins: SignIns, admin: Metadata) -> None:
    """It can be read, listed and changed altogether; a repetition registers no second one."""
    sign_ins.home.publish(at="new")
    content = pb.Provider(
        title="New",
        issuer=sign_ins.home.issuer("new"),
        audience=CLIENT,
        role_mappings=[pb.RoleMapping(value="z", role="viewer"), pb.RoleMapping(value="a", role="admin")],
        required_claims={"tenant": "x"},
    )
    request = pb.CreateProviderRequest(
        parent=ORGANISATION,
        provider_id="new",
        provider=content,
        request_id="9f3b8f1c-6f0f-4a38-9d0e-2f43a1b7f002",
    )
    made = sign_ins.providers.CreateProvider(request, metadata=admin)
    assert sign_ins.providers.CreateProvider(request, metadata=admin) == made
    assert made.name == f"{ORGANISATION}/providers/new"
    assert (made.state, made.name_claim, made.email_claim, made.roles_claim) == (1, "name", "email", "roles")
    assert [mapped.value for mapped in made.role_mappings] == ["z", "a"]
    assert sign_ins.providers.GetProvider(pb.GetProviderRequest(name=made.name), metadata=admin) == made
    listed = sign_ins.providers.ListProviders(pb.ListProvidersRequest(parent=ORGANISATION), metadata=admin)
    assert made in listed.providers
    assert sign_ins.exchange(sign_ins.home.token(at="new", tenant="x")).status_code == 400
    made.audience, made.title = "another", ""
    made.required_claims.clear()
    changed = update(sign_ins, admin, made, "audience", "required_claims")
    assert (changed.audience, changed.title, dict(changed.required_claims)) == ("another", "New", {})
    assert changed.etag != made.etag
    stale = Refused.by(lambda: update(sign_ins, admin, made, "audience"))
    assert stale.reason == "STALE"


def test_an_activation_needs_a_token_that_is_good(sign_ins: SignIns, admin: Metadata) -> None:
    """It says what is wrong; with a good one the provider counts, and a repetition is answered alike."""
    sign_ins.home.publish(at="trying")
    draft = sign_ins.draft("trying", at="trying")
    request = pb.ActivateProviderRequest(name=draft.name, home_token=sign_ins.home.token(at="trying", exp=1))
    refused = Refused.by(lambda: sign_ins.providers.ActivateProvider(request, metadata=admin))
    assert (refused.code, refused.metadata["type"]) == (grpc.StatusCode.FAILED_PRECONDITION, "TOKEN_EXPIRED")
    request.home_token = sign_ins.home.token(at="trying")
    request.etag = draft.etag
    request.request_id = "9f3b8f1c-6f0f-4a38-9d0e-2f43a1b7f003"
    active = sign_ins.providers.ActivateProvider(request, metadata=admin)
    assert active.state == pb.PROVIDER_STATE_ACTIVE
    assert sign_ins.providers.ActivateProvider(request, metadata=admin) == active
    assert sign_ins.principal(at="trying").provider == draft.name


def test_whose_people_they_are_does_not_change(sign_ins: SignIns, admin: Metadata) -> None:
    """Issuer and audience are settled by the first activation; the mapping counts from the next sign-in on."""
    sign_ins.home.publish(at="settled")
    active = sign_ins.activate(sign_ins.draft("settled", at="settled"))
    active.issuer = sign_ins.home.issuer("another")
    refused = Refused.by(lambda: update(sign_ins, admin, active, "issuer"))
    assert refused.metadata["type"] == "NOT_A_DRAFT"
    assert sign_ins.principal(at="settled").roles == {"caseworker"}
    active.default_roles.append("auditor")
    update(sign_ins, admin, active, "default_roles")
    assert sign_ins.principal(at="settled").roles == {"caseworker", "auditor"}


def test_a_token_leads_to_one_organisation(sign_ins: SignIns) -> None:
    """A second active provider with the same issuer and audience is refused, whoever's it is."""
    draft = sign_ins.draft("copy", organisation=STRANGER)
    assert Refused.by(lambda: sign_ins.activate(draft)).metadata["type"] == "ISSUER_TAKEN"
    own = sign_ins.draft("own-client", organisation=STRANGER, audience="other-client")
    sign_ins.activate(own)
    assert sign_ins.principal(aud="other-client").organisation == STRANGER
    assert sign_ins.principal().organisation == ORGANISATION


def test_what_is_activated_is_what_was_tried(sign_ins: SignIns, admin: Metadata) -> None:
    """An issuer that comes in between is not activated unproven, even by who foretells the etag that it brings."""
    sign_ins.home.publish(at="tried")
    draft = sign_ins.draft("tried", at="tried")
    foretold = etags.etag_of(2, draft.name)
    request = pb.ActivateProviderRequest(name=draft.name, home_token=sign_ins.home.token(at="tried"), etag=foretold)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(sign_ins.mesh.dsn, user="postgres") as between:
        between.execute(
            "UPDATE identity.providers SET issuer = 'https://victim.example', revision = 2 WHERE name = %s",
            [draft.name],
        )
        activation = pool.submit(sign_ins.providers.ActivateProvider, request, metadata=admin)
        wait(lambda: waits_for_a_row(sign_ins))
        between.commit()
        assert Refused.by(activation.result).reason == "STALE"


def waits_for_a_row(sign_ins: SignIns) -> bool:
    """Whether a call waits for a row that another transaction holds."""
    with psycopg.connect(sign_ins.mesh.dsn, user="postgres") as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return found.fetchone() is not None


def test_a_draft_has_nothing_to_suspend(sign_ins: SignIns) -> None:
    """And what is suspended stays so when it is asked for twice."""
    sign_ins.home.publish(at="pausing")
    draft = sign_ins.draft("pausing", at="pausing")
    assert Refused.by(lambda: sign_ins.suspend(draft.name)).metadata["type"] == "DRAFT"
    sign_ins.activate(draft)
    assert sign_ins.suspend(draft.name) == sign_ins.suspend(draft.name)


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({"issuer": "http://home.example"}, "provider.issuer"),
        ({"issuer": "https://home.example/?a=b"}, "provider.issuer"),
        ({"issuer": "https://home.example/#a"}, "provider.issuer"),
        ({"issuer": "https://user@home.example"}, "provider.issuer"),
        ({"issuer": ISSUER}, "provider.issuer"),
        ({"audience": ""}, "provider.audience"),
        ({"title": ""}, "provider.title"),
        ({"role_mappings": [pb.RoleMapping(value="a", role="operator")]}, "provider.role_mappings[0].role"),
        ({"role_mappings": [pb.RoleMapping(value="a", role="system")]}, "provider.role_mappings[0].role"),
        ({"default_roles": ["operator"]}, "provider.default_roles[0]"),
        ({"assurance_mappings": [pb.AssuranceMapping(acr="a")]}, "provider.assurance_mappings[0].assurance"),
        (
            {"assurance_mappings": [*assurances(a=1), *assurances(a=3)]},
            "provider.assurance_mappings",
        ),
    ],
)
def test_what_cannot_be_a_provider(sign_ins: SignIns, content: dict[str, Any], path: str) -> None:
    """The field is named; nobody becomes an operator by a sign-in."""
    refused = Refused.by(lambda: sign_ins.draft("wrong", **content))
    assert refused.reason == "INPUT_INVALID"
    assert path in refused.paths


def test_a_stranger_sees_and_changes_nothing(sign_ins: SignIns, admin: Metadata) -> None:
    """Another organisation's administrator finds no provider; a caseworker may not even ask; the operator may."""
    home = f"{ORGANISATION}/providers/home"
    stranger = sign_ins.as_admin(STRANGER)
    calls: dict[str, Callable[[Metadata], object]] = {
        "get": lambda m: sign_ins.providers.GetProvider(pb.GetProviderRequest(name=home), metadata=m),
        "suspend": lambda m: sign_ins.providers.SuspendProvider(pb.SuspendProviderRequest(name=home), metadata=m),
        "test": lambda m: sign_ins.providers.TestProvider(
            pb.TestProviderRequest(name=home, home_token="x"), metadata=m
        ),
        "activate": lambda m: sign_ins.providers.ActivateProvider(
            pb.ActivateProviderRequest(name=home, home_token="x"), metadata=m
        ),
        "update": lambda m: sign_ins.providers.UpdateProvider(
            pb.UpdateProviderRequest(provider=pb.Provider(name=home, title="x", issuer="https://x", audience="x")),
            metadata=m,
        ),
    }
    caseworker = sign_ins.as_person()
    for call in calls.values():
        assert Refused.by(partial(call, stranger)).reason == "NOT_FOUND"
        assert Refused.by(partial(call, caseworker)).reason == "PERMISSION_MISSING"
    listing = pb.ListProvidersRequest(parent=ORGANISATION)
    assert not sign_ins.providers.ListProviders(listing, metadata=stranger).providers
    creating = pb.CreateProviderRequest(
        parent=ORGANISATION,
        provider_id="mine",
        provider=pb.Provider(title="Mine", issuer="https://mine.example", audience="x"),
    )
    assert Refused.by(lambda: sign_ins.providers.CreateProvider(creating, metadata=stranger)).reason == "NOT_OWNER"
    operator = sign_ins.mesh.as_(sign_ins.mesh.operator)
    assert calls["get"](operator) == calls["get"](admin)
