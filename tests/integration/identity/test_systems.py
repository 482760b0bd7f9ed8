"""SystemService over the wire: every promise of its proto, and another organisation's systems do not exist."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
import psycopg
import pytest
from joserfc.jwk import ECKey, OKPKey
from verbund.identity.v1 import organisation_service_pb2 as organisations_pb
from verbund.identity.v1 import system_service_pb2 as pb

from tests.integration.identity.mesh import Mesh, Metadata, Refused, System, public

Attempt = Callable[[], object]
CITYLAB = "organisations/citylab"
NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


def new_jwk() -> str:
    return public(OKPKey.generate_key("Ed25519"))


@pytest.fixture(scope="module")
def foreign(mesh: Mesh) -> System:
    """A system of another organisation."""
    return mesh.register(mesh.admit("bezirksamt"), "portal", "system")


def creation(
    system_id: str, *roles: str, parent: str = CITYLAB, jwk: str = "", request_id: str = ""
) -> pb.CreateSystemRequest:
    return pb.CreateSystemRequest(
        parent=parent,
        system_id=system_id,
        system=pb.System(name="organisations/x/systems/ignored", title="A title", roles=roles or ("system",)),
        jwk=jwk or new_jwk(),
        request_id=request_id,
    )


def created(mesh: Mesh, metadata: Metadata, system_id: str, *roles: str) -> pb.System:
    answer: pb.System = mesh.systems.CreateSystem(creation(system_id, *roles), metadata=metadata)
    return answer


def test_an_administrator_registers_a_system(mesh: Mesh, administrator: Metadata) -> None:
    """With its first key, which is known by its thumbprint; what it knows, it reads again."""
    key = ECKey.generate_key("P-256")
    system = mesh.systems.CreateSystem(creation("portal", "system", "viewer", jwk=public(key)), metadata=administrator)
    assert system.name == f"{CITYLAB}/systems/portal"
    assert (system.title, list(system.roles), system.state) == ("A title", ["system", "viewer"], pb.SYSTEM_STATE_ACTIVE)
    assert [stored.kid for stored in system.keys] == [key.thumbprint()]
    assert json.loads(system.keys[0].jwk) == key.as_dict(private=False) | {"kid": key.thumbprint()}
    assert mesh.systems.GetSystem(pb.GetSystemRequest(name=system.name), metadata=administrator) == system
    assert mesh.verifier.verify(mesh.token(System(system.name, key))).roles == {"system", "viewer"}


def test_another_organisations_system_does_not_exist(mesh: Mesh, administrator: Metadata, foreign: System) -> None:
    """In every method it is refused as a missing one is, word for word, and it stays as it is."""
    before = mesh.systems.GetSystem(pb.GetSystemRequest(name=foreign.name), metadata=mesh.as_(mesh.operator))
    missing = f"{foreign.organisation}/systems/missing"
    calls: dict[str, Callable[[str], Any]] = {
        "GetSystem": lambda name: pb.GetSystemRequest(name=name),
        "AddSystemKey": lambda name: pb.AddSystemKeyRequest(name=name, jwk=new_jwk()),
        "RemoveSystemKey": lambda name: pb.RemoveSystemKeyRequest(name=name, kid=before.keys[0].kid),
        "SuspendSystem": lambda name: pb.SuspendSystemRequest(name=name),
        "ResumeSystem": lambda name: pb.ResumeSystemRequest(name=name),
    }
    for method, request in calls.items():
        refused = []
        for name in (foreign.name, missing):
            found = Refused.by(partial(getattr(mesh.systems, method), request(name), metadata=administrator))
            assert found.metadata.pop("resource") == name
            refused.append(found)
        assert refused[0] == refused[1]
        assert (refused[0].code, refused[0].reason) == NOT_FOUND
    after = mesh.systems.GetSystem(pb.GetSystemRequest(name=foreign.name), metadata=mesh.as_(mesh.operator))
    assert after == before


def test_a_list_shows_ones_own_systems_only(
    mesh: Mesh, administrator: Metadata, operator: Metadata, foreign: System
) -> None:
    """Another organisation looks as if it had none; the operator sees them; an unknown organisation is not found."""
    for letter in "abc":
        created(mesh, administrator, f"page-{letter}")
    assert listed(mesh, foreign.organisation, administrator) == []
    assert listed(mesh, foreign.organisation, operator) == [foreign.name]
    names = listed(mesh, CITYLAB, administrator)
    assert names == sorted(set(names))
    assert {f"{CITYLAB}/systems/page-{letter}" for letter in "abc"} < set(names)
    request = pb.ListSystemsRequest(parent="organisations/nothing")
    refused = Refused.by(lambda: mesh.systems.ListSystems(request, metadata=administrator))
    assert (refused.code, refused.reason) == NOT_FOUND


def listed(mesh: Mesh, parent: str, metadata: Metadata) -> list[str]:
    """Every name, page by page."""
    names: list[str] = []
    request = pb.ListSystemsRequest(parent=parent, page_size=1)
    for _ in range(100):
        answer = mesh.systems.ListSystems(request, metadata=metadata)
        names += [system.name for system in answer.systems]
        request.page_token = answer.next_page_token
        if not request.page_token:
            return names
    raise AssertionError("the pages do not end")


def test_a_page_token_belongs_to_its_list_and_its_caller(
    mesh: Mesh, administrator: Metadata, operator: Metadata
) -> None:
    """With another parent, or from another organisation, it is refused."""
    for letter in "de":
        created(mesh, administrator, f"page-{letter}")
    first = mesh.systems.ListSystems(pb.ListSystemsRequest(parent=CITYLAB, page_size=1), metadata=administrator)
    for parent, metadata in ((CITYLAB, operator), ("organisations/senatskanzlei", administrator)):
        request = pb.ListSystemsRequest(parent=parent, page_token=first.next_page_token)
        refused = Refused.by(partial(mesh.systems.ListSystems, request, metadata=metadata))
        assert refused.reason == "CURSOR_INVALID"


def test_a_system_is_registered_where_one_belongs(mesh: Mesh, administrator: Metadata, foreign: System) -> None:
    """Another organisation may be seen, so its owner is named; one that cannot be seen is not found."""
    refused = Refused.by(
        lambda: mesh.systems.CreateSystem(creation("x", parent=foreign.organisation), metadata=administrator)
    )
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_OWNER")
    refused = Refused.by(
        lambda: mesh.systems.CreateSystem(creation("x", parent="organisations/nothing"), metadata=administrator)
    )
    assert (refused.code, refused.reason) == NOT_FOUND


def test_a_systems_name_is_given_once(mesh: Mesh, administrator: Metadata) -> None:
    """Within its organisation."""
    created(mesh, administrator, "once")
    refused = Refused.by(lambda: created(mesh, administrator, "once"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS")


def test_a_role_without_the_permission_registers_nothing(mesh: Mesh, administrator: Metadata) -> None:
    """A plain system cannot make another one, nor itself a key."""
    assert administrator
    plain = mesh.as_(mesh.register(CITYLAB, "plain", "system"))
    refused = Refused.by(lambda: created(mesh, plain, "x"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    request = pb.AddSystemKeyRequest(name=f"{CITYLAB}/systems/plain", jwk=new_jwk())
    assert Refused.by(lambda: mesh.systems.AddSystemKey(request, metadata=plain)).reason == "PERMISSION_MISSING"


def test_an_administrator_makes_no_operator(mesh: Mesh, administrator: Metadata, operator: Metadata) -> None:
    """Neither by the role, nor by a key or a change of an operator's system in its own organisation."""
    refused = Refused.by(lambda: created(mesh, administrator, "risen", "admin", "operator"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
    assert created(mesh, operator, "helper", "operator").roles == ["operator"]
    name = f"{CITYLAB}/systems/helper"
    attempts: list[Attempt] = [
        lambda: mesh.systems.AddSystemKey(pb.AddSystemKeyRequest(name=name, jwk=new_jwk()), metadata=administrator),
        lambda: mesh.systems.RemoveSystemKey(pb.RemoveSystemKeyRequest(name=name, kid="x"), metadata=administrator),
        lambda: mesh.systems.SuspendSystem(pb.SuspendSystemRequest(name=name), metadata=administrator),
        lambda: mesh.systems.ResumeSystem(pb.ResumeSystemRequest(name=name), metadata=administrator),
    ]
    for attempt in attempts:
        assert Refused.by(attempt).reason == "PERMISSION_MISSING"


def test_a_private_key_is_refused_and_kept_nowhere(
    mesh: Mesh, administrator: Metadata, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither in a table, nor in the refusal, nor in a log line, not even with a request_id."""
    secret = ECKey.generate_key("P-256").as_dict(private=True)
    request = creation("leaky", jwk=json.dumps(secret), request_id=str(uuid.uuid4()))
    refused = Refused.by(lambda: mesh.systems.CreateSystem(request, metadata=administrator))
    assert (refused.code, refused.paths) == (grpc.StatusCode.INVALID_ARGUMENT, ("jwk",))
    assert str(secret["d"]) not in repr(refused) + "".join(capsys.readouterr())
    with psycopg.connect(mesh.dsn, user="postgres") as connection:
        for table in ("systems", "idempotency"):
            rows = connection.execute(f"SELECT t::text FROM identity.{table} t").fetchall()  # noqa: S608 - a constant
            assert not any(str(secret["d"]) in row[0] for row in rows)


@pytest.mark.parametrize(
    "jwk", ["nonsense", "{}", public(ECKey.generate_key("P-384")), '{"kty":"oct","k":"AAAA"}'], ids=range(4)
)
def test_what_is_no_public_key_is_refused(mesh: Mesh, administrator: Metadata, jwk: str) -> None:
    """When a system is registered, and when a key is added."""
    system = f"{CITYLAB}/systems/administration"
    for call in (
        lambda: mesh.systems.CreateSystem(creation("x", jwk=jwk), metadata=administrator),
        lambda: mesh.systems.AddSystemKey(pb.AddSystemKeyRequest(name=system, jwk=jwk), metadata=administrator),
    ):
        refused = Refused.by(call)
        assert (refused.code, refused.paths) == (grpc.StatusCode.INVALID_ARGUMENT, ("jwk",))


def test_unknown_roles_are_refused(mesh: Mesh, administrator: Metadata) -> None:
    """By the proto's own list."""
    refused = Refused.by(lambda: created(mesh, administrator, "x", "superuser"))
    assert (refused.code, refused.paths) == (grpc.StatusCode.INVALID_ARGUMENT, ("system.roles[0]",))


def test_a_system_changes_its_key_without_a_gap(mesh: Mesh, administrator: Metadata) -> None:
    """The new key counts beside the old one, then instead of it; the token of the old one goes on."""
    system = mesh.register(CITYLAB, "rotating")
    token, new = mesh.token(system), OKPKey.generate_key("Ed25519")
    request = pb.AddSystemKeyRequest(name=system.name, jwk=public(new))
    added = mesh.systems.AddSystemKey(request, metadata=administrator)
    assert [key.kid for key in added.keys] == [system.key.thumbprint(), new.thumbprint()]
    assert mesh.token(system)
    assert mesh.token(System(system.name, new))
    removal = pb.RemoveSystemKeyRequest(name=system.name, kid=system.key.thumbprint(), etag=added.etag)
    removed = mesh.systems.RemoveSystemKey(removal, metadata=administrator)
    assert [key.kid for key in removed.keys] == [new.thumbprint()]
    assert mesh.http.post("/oauth2/token", data=system.form()).status_code == 401
    assert mesh.verifier.verify(token).system == system.name


def test_the_last_key_stays_and_the_ninth_is_refused(mesh: Mesh, administrator: Metadata) -> None:
    """Also where eight are added at the same time."""
    system = created(mesh, administrator, "crowded")
    removal = pb.RemoveSystemKeyRequest(name=system.name, kid=system.keys[0].kid)
    refused = Refused.by(lambda: mesh.systems.RemoveSystemKey(removal, metadata=administrator))
    assert (refused.code, refused.metadata["type"]) == (grpc.StatusCode.FAILED_PRECONDITION, "LAST_KEY")

    def add(_: int) -> bool:
        try:
            mesh.systems.AddSystemKey(pb.AddSystemKeyRequest(name=system.name, jwk=new_jwk()), metadata=administrator)
        except grpc.RpcError as error:
            return bool(error.code() is not grpc.StatusCode.FAILED_PRECONDITION)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(add, range(8))) == [False] + [True] * 7
    read = mesh.systems.GetSystem(pb.GetSystemRequest(name=system.name), metadata=administrator)
    assert len({key.kid for key in read.keys}) == 8


def test_a_key_is_added_and_removed_once(mesh: Mesh, administrator: Metadata) -> None:
    """The second time it is there already, or gone already."""
    system, jwk = created(mesh, administrator, "twice"), new_jwk()
    request = pb.AddSystemKeyRequest(name=system.name, jwk=jwk)
    added = mesh.systems.AddSystemKey(request, metadata=administrator)
    refused = Refused.by(lambda: mesh.systems.AddSystemKey(request, metadata=administrator))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    removal = pb.RemoveSystemKeyRequest(name=system.name, kid=added.keys[1].kid)
    mesh.systems.RemoveSystemKey(removal, metadata=administrator)
    assert Refused.by(lambda: mesh.systems.RemoveSystemKey(removal, metadata=administrator)).reason == "NOT_FOUND"


def test_a_stale_etag_changes_nothing(mesh: Mesh, administrator: Metadata) -> None:
    """In every method that takes one."""
    system = created(mesh, administrator, "stale")
    mesh.systems.AddSystemKey(pb.AddSystemKeyRequest(name=system.name, jwk=new_jwk()), metadata=administrator)
    before = mesh.systems.GetSystem(pb.GetSystemRequest(name=system.name), metadata=administrator)
    attempts: list[Attempt] = [
        lambda: mesh.systems.AddSystemKey(
            pb.AddSystemKeyRequest(name=system.name, jwk=new_jwk(), etag=system.etag), metadata=administrator
        ),
        lambda: mesh.systems.RemoveSystemKey(
            pb.RemoveSystemKeyRequest(name=system.name, kid=system.keys[0].kid, etag=system.etag),
            metadata=administrator,
        ),
        lambda: mesh.systems.SuspendSystem(
            pb.SuspendSystemRequest(name=system.name, etag=system.etag), metadata=administrator
        ),
        lambda: mesh.systems.ResumeSystem(
            pb.ResumeSystemRequest(name=system.name, etag=system.etag), metadata=administrator
        ),
    ]
    for attempt in attempts:
        refused = Refused.by(attempt)
        assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "STALE")
    assert mesh.systems.GetSystem(pb.GetSystemRequest(name=system.name), metadata=administrator) == before


def test_a_repeated_change_has_one_effect_and_one_answer(mesh: Mesh, administrator: Metadata) -> None:
    """The key is added once, and both callers learn so."""
    system = created(mesh, administrator, "repeated")
    request = pb.AddSystemKeyRequest(name=system.name, jwk=new_jwk(), etag=system.etag, request_id=str(uuid.uuid4()))
    first, second = (mesh.systems.AddSystemKey(request, metadata=administrator) for _ in range(2))
    assert first == second
    assert len(first.keys) == 2


def test_every_change_of_a_system_owes_the_log_a_leaf(mesh: Mesh, administrator: Metadata) -> None:
    """Which names system and organisation as salted hashes only."""
    system = created(mesh, administrator, "evident")
    added = mesh.systems.AddSystemKey(pb.AddSystemKeyRequest(name=system.name, jwk=new_jwk()), metadata=administrator)
    removal = pb.RemoveSystemKeyRequest(name=system.name, kid=added.keys[0].kid)
    mesh.systems.RemoveSystemKey(removal, metadata=administrator)
    mesh.systems.SuspendSystem(pb.SuspendSystemRequest(name=system.name), metadata=administrator)
    mesh.systems.ResumeSystem(pb.ResumeSystemRequest(name=system.name), metadata=administrator)
    with psycopg.connect(mesh.dsn, user="postgres") as connection:
        found = connection.execute(
            "SELECT convert_from(leaf, 'utf8') FROM evidence.intents ORDER BY position DESC LIMIT 5"
        )
        texts = [row[0] for row in found]
    verbs = [json.loads(text)["type"].removeprefix("identity.system.") for text in reversed(texts)]
    assert verbs == ["created", "key_added", "key_removed", "suspended", "resumed"]
    assert not any("citylab" in text or "evident" in text for text in texts)


def test_a_hidden_organisation_takes_no_systems(mesh: Mesh, administrator: Metadata, operator: Metadata) -> None:
    """A suspended organisation is not there for others, so nothing of it is."""
    name = mesh.admit("asleep")
    mesh.organisations.SuspendOrganisation(organisations_pb.SuspendOrganisationRequest(name=name), metadata=operator)
    refused = Refused.by(lambda: mesh.systems.CreateSystem(creation("x", parent=name), metadata=administrator))
    assert (refused.code, refused.reason) == NOT_FOUND
    request = pb.ListSystemsRequest(parent=name)
    assert Refused.by(lambda: mesh.systems.ListSystems(request, metadata=administrator)).reason == "NOT_FOUND"
