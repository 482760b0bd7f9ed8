"""OrganisationService over the wire: every promise of its proto."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from verbund.identity.v1 import organisation_service_pb2 as pb

from tests.integration.identity.mesh import Mesh, Metadata, Refused


@pytest.fixture(scope="module")
def viewer(mesh: Mesh, administrator: Metadata) -> Metadata:
    """Also of CityLAB."""
    assert administrator
    return mesh.as_(mesh.register("organisations/citylab", "viewer", "viewer"))


def creation(organisation_id: str, title: str = "A title", request_id: str = "") -> pb.CreateOrganisationRequest:
    organisation = pb.Organisation(name="organisations/ignored", title=title)
    return pb.CreateOrganisationRequest(
        organisation_id=organisation_id, organisation=organisation, request_id=request_id
    )


def leaves(mesh: Mesh) -> list[str]:
    """The types of the evidence intents so far."""
    with psycopg.connect(mesh.dsn, user="postgres") as connection:
        found = connection.execute(
            "SELECT convert_from(leaf, 'utf8')::json ->> 'type' FROM evidence.intents ORDER BY position"
        )
        return [row[0] for row in found]


def test_an_operator_admits_an_organisation(mesh: Mesh, operator: Metadata, viewer: Metadata) -> None:
    """Whose name is the id that was asked for; every member may read it then."""
    created = mesh.organisations.CreateOrganisation(creation("bezirksamt", "Bezirksamt"), metadata=operator)
    assert (created.name, created.title) == ("organisations/bezirksamt", "Bezirksamt")
    assert created.state == pb.ORGANISATION_STATE_ACTIVE
    assert created.etag
    assert created.create_time == created.update_time
    read = mesh.organisations.GetOrganisation(pb.GetOrganisationRequest(name=created.name), metadata=viewer)
    assert read == created


def test_a_name_is_given_once(mesh: Mesh, operator: Metadata) -> None:
    """The second time it is refused, and the first stays as it is."""
    mesh.organisations.CreateOrganisation(creation("once", "First"), metadata=operator)
    refused = Refused.by(lambda: mesh.organisations.CreateOrganisation(creation("once", "Second"), metadata=operator))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")
    assert refused.details == ("ErrorInfo", "ResourceInfo")
    read = mesh.organisations.GetOrganisation(pb.GetOrganisationRequest(name="organisations/once"), metadata=operator)
    assert read.title == "First"


def test_only_an_operator_admits_and_suspends(mesh: Mesh, administrator: Metadata) -> None:
    """An organisation's administrator is refused by the method's rule, which the refusal names."""
    service = "verbund.identity.v1.OrganisationService"
    name = "organisations/senatskanzlei"
    calls = {
        "CreateOrganisation": lambda: mesh.organisations.CreateOrganisation(creation("x"), metadata=administrator),
        "SuspendOrganisation": lambda: mesh.organisations.SuspendOrganisation(
            pb.SuspendOrganisationRequest(name=name), metadata=administrator
        ),
        "ResumeOrganisation": lambda: mesh.organisations.ResumeOrganisation(
            pb.ResumeOrganisationRequest(name=name), metadata=administrator
        ),
    }
    for method, call in calls.items():
        refused = Refused.by(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
        assert refused.metadata["rule"] == f"{service}.{method}"


def test_without_a_token_nothing_is_told(mesh: Mesh) -> None:
    """Not even whether a name exists."""
    refused = Refused.by(lambda: mesh.organisations.GetOrganisation(pb.GetOrganisationRequest(name="organisations/x")))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "NO_TOKEN")


@pytest.mark.parametrize(
    ("organisation_id", "title", "path"),
    [
        ("", "A title", "organisation_id"),
        ("Upper", "A title", "organisation_id"),
        ("x/y", "A title", "organisation_id"),
        ("valid", "", "organisation.title"),
        ("valid", "x" * 201, "organisation.title"),
    ],
)
def test_a_broken_constraint_names_its_field(
    mesh: Mesh, operator: Metadata, organisation_id: str, title: str, path: str
) -> None:
    """By its proto path."""
    refused = Refused.by(
        lambda: mesh.organisations.CreateOrganisation(creation(organisation_id, title), metadata=operator)
    )
    assert (refused.code, refused.paths) == (grpc.StatusCode.INVALID_ARGUMENT, (path,))


def test_a_repeated_request_has_one_effect_and_one_answer(mesh: Mesh, operator: Metadata) -> None:
    """Also a hundred times at once; with another body the id is refused."""
    request = creation("repeated", request_id=str(uuid.uuid4()))
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda _: mesh.organisations.CreateOrganisation(request, metadata=operator), range(100))
        )
    assert all(answer == answers[0] for answer in answers)
    other = creation("repeated-2", request_id=request.request_id)
    refused = Refused.by(lambda: mesh.organisations.CreateOrganisation(other, metadata=operator))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


def update(name: str, title: str, etag: str = "", mask: tuple[str, ...] = ()) -> pb.UpdateOrganisationRequest:
    organisation = pb.Organisation(name=name, title=title, etag=etag)
    return pb.UpdateOrganisationRequest(organisation=organisation, update_mask=FieldMask(paths=mask))


def test_an_administrator_changes_its_own_title(mesh: Mesh, administrator: Metadata) -> None:
    """With the present etag or without one; a stale one is refused."""
    own = "organisations/citylab"
    read = mesh.organisations.GetOrganisation(pb.GetOrganisationRequest(name=own), metadata=administrator)
    changed = mesh.organisations.UpdateOrganisation(update(own, "CityLAB Berlin", read.etag), metadata=administrator)
    assert changed.title == "CityLAB Berlin"
    assert changed.etag != read.etag
    assert changed.update_time.ToNanoseconds() > read.update_time.ToNanoseconds()
    refused = Refused.by(
        lambda: mesh.organisations.UpdateOrganisation(update(own, "Other", read.etag), metadata=administrator)
    )
    assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "STALE")
    assert mesh.organisations.UpdateOrganisation(update(own, "CityLAB"), metadata=administrator).title == "CityLAB"


def test_anothers_title_is_anothers(mesh: Mesh, administrator: Metadata, operator: Metadata) -> None:
    """It may be seen, so the refusal says whose it is; an operator may change it."""
    name = mesh.admit("titled")
    refused = Refused.by(lambda: mesh.organisations.UpdateOrganisation(update(name, "Mine"), metadata=administrator))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_OWNER")
    assert mesh.organisations.UpdateOrganisation(update(name, "Ours"), metadata=operator).title == "Ours"


def test_only_the_title_can_be_changed(mesh: Mesh, administrator: Metadata) -> None:
    """A mask that names more is refused."""
    request = update("organisations/citylab", "CityLAB", mask=("title", "state"))
    refused = Refused.by(lambda: mesh.organisations.UpdateOrganisation(request, metadata=administrator))
    assert (refused.code, refused.paths) == (grpc.StatusCode.INVALID_ARGUMENT, ("update_mask",))


def test_a_suspended_organisation_is_hidden_from_the_others(mesh: Mesh, operator: Metadata, viewer: Metadata) -> None:
    """For them it is as if it did not exist; the operator sees it."""
    name = mesh.admit("hidden")
    suspended = mesh.organisations.SuspendOrganisation(pb.SuspendOrganisationRequest(name=name), metadata=operator)
    assert suspended.state == pb.ORGANISATION_STATE_SUSPENDED
    gone = Refused.by(lambda: mesh.organisations.GetOrganisation(pb.GetOrganisationRequest(name=name), metadata=viewer))
    missing = Refused.by(
        lambda: mesh.organisations.GetOrganisation(
            pb.GetOrganisationRequest(name="organisations/nothing"), metadata=viewer
        )
    )
    assert gone.metadata.pop("resource") == name
    assert missing.metadata.pop("resource") == "organisations/nothing"
    assert gone == missing
    assert gone.code is grpc.StatusCode.NOT_FOUND
    assert name not in listed(mesh, viewer)
    assert mesh.organisations.GetOrganisation(pb.GetOrganisationRequest(name=name), metadata=operator) == suspended
    resumed = mesh.organisations.ResumeOrganisation(
        pb.ResumeOrganisationRequest(name=name, etag=suspended.etag), metadata=operator
    )
    assert resumed.state == pb.ORGANISATION_STATE_ACTIVE
    assert name in listed(mesh, viewer)


def listed(mesh: Mesh, metadata: Metadata) -> list[str]:
    """Every name, page by page."""
    names: list[str] = []
    request = pb.ListOrganisationsRequest(page_size=2)
    for _ in range(100):
        answer = mesh.organisations.ListOrganisations(request, metadata=metadata)
        assert len(answer.organisations) <= 2
        names += [organisation.name for organisation in answer.organisations]
        request.page_token = answer.next_page_token
        if not request.page_token:
            return names
    raise AssertionError("the pages do not end")


def test_a_list_has_every_active_organisation_once(mesh: Mesh, viewer: Metadata) -> None:
    """By name, in pages; a page token of another list is refused."""
    for name in ("page-a", "page-b", "page-c", "page-d", "page-e"):
        mesh.admit(name)
    names = listed(mesh, viewer)
    assert names == sorted(set(names))
    assert {f"organisations/page-{letter}" for letter in "abcde"} < set(names)
    whole = mesh.organisations.ListOrganisations(pb.ListOrganisationsRequest(), metadata=viewer)
    assert [organisation.name for organisation in whole.organisations] == names[:50]
    request = pb.ListOrganisationsRequest(page_token="bm90aGluZw")
    refused = Refused.by(lambda: mesh.organisations.ListOrganisations(request, metadata=viewer))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CURSOR_INVALID")


def test_every_change_owes_the_log_a_leaf(mesh: Mesh, operator: Metadata) -> None:
    """Committed with the change; what changes nothing owes nothing."""
    before = len(leaves(mesh))
    name = mesh.admit("evident")
    mesh.organisations.UpdateOrganisation(update(name, "Changed"), metadata=operator)
    mesh.organisations.UpdateOrganisation(update(name, "Changed"), metadata=operator)
    for _ in range(2):
        mesh.organisations.SuspendOrganisation(pb.SuspendOrganisationRequest(name=name), metadata=operator)
    for _ in range(2):
        mesh.organisations.ResumeOrganisation(pb.ResumeOrganisationRequest(name=name), metadata=operator)
    verbs = [kind.removeprefix("identity.organisation.") for kind in leaves(mesh)[before:]]
    assert verbs == ["created", "updated", "suspended", "resumed"]


def test_an_operator_does_not_shut_itself_out(mesh: Mesh, operator: Metadata) -> None:
    """Nobody would be left to end the suspension."""
    request = pb.SuspendOrganisationRequest(name="organisations/senatskanzlei")
    refused = Refused.by(lambda: mesh.organisations.SuspendOrganisation(request, metadata=operator))
    assert (refused.code, refused.metadata["type"]) == (grpc.StatusCode.FAILED_PRECONDITION, "OWN_ORGANISATION")
