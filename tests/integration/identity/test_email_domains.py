"""E-mail domains of providers: what can be one, whose it is, and that nobody learns who has it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from verbund.identity.providers.domain import PROVIDERS_MAX
from verbund.identity.v1 import provider_service_pb2 as pb

from tests.integration.identity.mesh import Metadata, Refused, wait
from tests.integration.identity.signing_in import SignIns

OTHER = "organisations/bezirksamt"
TAKEN = "EMAIL_DOMAIN_TAKEN"


def active(sign_ins: SignIns, provider: str, *domains: str, organisation: str = "") -> pb.Provider:
    """An active provider with these domains."""
    sign_ins.home.publish(at=provider)
    return sign_ins.activate(sign_ins.draft(provider, organisation=organisation, at=provider, email_domains=domains))


def changed(sign_ins: SignIns, provider: pb.Provider, *domains: str, by: Metadata = ()) -> pb.Provider:
    """The provider with other domains."""
    wanted = pb.Provider(name=provider.name, email_domains=domains)
    request = pb.UpdateProviderRequest(provider=wanted, update_mask=FieldMask(paths=["email_domains"]))
    metadata = by or sign_ins.as_admin(provider.name.partition("/providers/")[0])
    return sign_ins.providers.UpdateProvider(request, metadata=metadata)


def refused(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    """How a call is refused, which is a matter of some state."""
    refusal = Refused.by(call)
    return refusal.code, refusal.metadata["type"]


def test_domains_are_read_as_they_were_set(sign_ins: SignIns) -> None:
    """At the creation, in an answer, in a list and after a change; none at all is as good."""
    made = active(sign_ins, "read", "read.example", "sub.read.example")
    assert list(made.email_domains) == ["read.example", "sub.read.example"]
    listing = pb.ListProvidersRequest(parent=sign_ins.organisation)
    assert made in sign_ins.providers.ListProviders(listing, metadata=sign_ins.as_admin()).providers
    less = changed(sign_ins, made, "sub.read.example")
    assert list(less.email_domains) == ["sub.read.example"]
    assert less.etag != made.etag
    assert not changed(sign_ins, less).email_domains


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "example",
        "Example.org",
        "bürgeramt.example",
        "anna@example.org",
        "example.org.",
        "-a.example",
        "a..example",
        "a b.example",
        "127.0.0.1",
        "*.example.org",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
    ],
)
def test_a_domain_is_written_as_dns_has_it(sign_ins: SignIns, domain: str) -> None:
    """In lower case, in ASCII, with two parts at least, and exactly one: no pattern, no address, no URL."""
    refusal = Refused.by(lambda: sign_ins.draft("wrong", email_domains=["good.example", domain]))
    assert (refusal.reason, refusal.paths) == ("INPUT_INVALID", ("provider.email_domains[1]",))


def test_there_are_twenty_at_most_and_none_twice(sign_ins: SignIns) -> None:
    """The field is named."""
    for domains in (["a.example"] * 2, [f"a{number}.example" for number in range(21)]):
        refusal = Refused.by(partial(sign_ins.draft, "many", email_domains=domains))
        assert (refusal.reason, refusal.paths) == ("INPUT_INVALID", ("provider.email_domains",))


def test_a_domain_leads_to_one_organisation(sign_ins: SignIns) -> None:
    """Neither an activation nor a change gives it to a second one, and nobody is told who has it; a draft may wait for
    it, and gets it when the first lets go.
    """
    first = active(sign_ins, "first", "shared.example")
    sign_ins.home.publish(at="second")
    draft = sign_ins.draft("second", organisation=OTHER, at="second", email_domains=["shared.example"])
    said = Refused.by(lambda: sign_ins.activate(draft))
    assert (said.code, said.metadata["type"]) == (grpc.StatusCode.FAILED_PRECONDITION, TAKEN)
    assert "citylab" not in str(said).lower()
    third = active(sign_ins, "third", "third.example", organisation=OTHER)
    taken = refused(lambda: changed(sign_ins, third, "third.example", "shared.example"))
    assert taken == (grpc.StatusCode.FAILED_PRECONDITION, TAKEN)
    sign_ins.suspend(first.name)
    sign_ins.activate(draft)
    again = pb.ActivateProviderRequest(name=first.name, home_token=sign_ins.home.token(at="first"))
    back = refused(lambda: sign_ins.providers.ActivateProvider(again, metadata=sign_ins.as_admin()))
    assert back == (grpc.StatusCode.FAILED_PRECONDITION, TAKEN)


def test_an_organisation_has_a_domain_at_several_of_its_providers(sign_ins: SignIns) -> None:
    """Where its people sign in at two, they choose between those."""
    active(sign_ins, "staff", "both.example")
    active(sign_ins, "guests", "both.example")


def test_the_operator_takes_a_domain_away(sign_ins: SignIns) -> None:
    """Of a public mail service, say: who runs the mesh sees it and can change it; a stranger finds no provider."""
    claimed = active(sign_ins, "greedy", "mail.example", organisation=OTHER)
    assert Refused.by(lambda: changed(sign_ins, claimed, by=sign_ins.as_admin())).reason == "NOT_FOUND"
    assert not changed(sign_ins, claimed, by=sign_ins.mesh.as_(sign_ins.mesh.operator)).email_domains


def test_of_two_that_want_a_domain_at_once_one_gets_it(sign_ins: SignIns) -> None:
    """The second waits for the first, and finds that it has it."""
    here, there = active(sign_ins, "here"), active(sign_ins, "there", organisation=OTHER)
    with ThreadPoolExecutor(2) as pool, psycopg.connect(sign_ins.mesh.dsn, user="postgres") as between:
        between.execute("SELECT pg_advisory_xact_lock(hashtextextended('identity.providers.email_domains', 0))")
        both = [pool.submit(outcome, partial(changed, sign_ins, each, "wanted.example")) for each in (here, there)]
        wait(lambda: waiting(sign_ins) == len(both))
        between.rollback()
    assert sorted(each.result() for each in both) == ["", TAKEN]


def outcome(call: Callable[[], object]) -> str:
    """How a call ends that some state may forbid: empty where it does not."""
    try:
        call()
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        info = error_details_pb2.ErrorInfo()
        assert status is not None
        assert any(detail.Unpack(info) for detail in status.details)
        return str(info.metadata["type"])
    return ""


def waiting(sign_ins: SignIns) -> int:
    """How many calls wait for a lock of another transaction."""
    with psycopg.connect(sign_ins.mesh.dsn, user="postgres") as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).fetchone()
    return int(found[0]) if found else 0


def test_an_organisation_has_twenty_providers(sign_ins: SignIns) -> None:
    """The next one is refused with a reason, also for the operator and however many come at once; another organisation
    still has room.
    """
    full = "organisations/voll"
    admin = sign_ins.as_admin(full)

    def create(number: int) -> str:
        content = pb.Provider(title="x", issuer="https://home.example", audience="x")
        request = pb.CreateProviderRequest(parent=full, provider_id=f"p{number}", provider=content)
        return outcome(lambda: sign_ins.providers.CreateProvider(request, metadata=admin))

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(create, range(PROVIDERS_MAX + 3)))
    assert sorted(made) == [""] * PROVIDERS_MAX + ["PROVIDERS_MAX"] * 3
    draft = sign_ins.draft("room", organisation=OTHER)
    assert draft.state == pb.PROVIDER_STATE_DRAFT
