"""Mailboxes over the wire: who knows them, who may change them, and what is refused."""

import pytest
from verbund.exchange.v1 import mailbox_service_pb2 as pb

from tests.integration.exchange.mesh import Member, Mesh, intended
from tests.support.members import TIMEOUT_SECONDS, fields_of, new_id, refused


def get(member: Member, name: str) -> pb.Mailbox:
    """Reads a mailbox."""
    return member.mailboxes.GetMailbox(pb.GetMailboxRequest(name=name), timeout=TIMEOUT_SECONDS)


def update(member: Member, mailbox: pb.Mailbox, *paths: str) -> pb.Mailbox:
    """Changes the fields that `paths` name."""
    request = pb.UpdateMailboxRequest(mailbox=mailbox)
    request.update_mask.paths.extend(paths)
    return member.mailboxes.UpdateMailbox(request, timeout=TIMEOUT_SECONDS)


def names(member: Member, organisation: str, **fields: object) -> list[str]:
    """The ids on a page of an organisation's mailboxes."""
    request = pb.ListMailboxesRequest(parent=organisation, **fields)  # type: ignore[arg-type] # the tests' own fields
    return [mailbox.name.rsplit("/", 1)[-1] for mailbox in member.mailboxes.ListMailboxes(request).mailboxes]


def test_a_mailbox_is_known_to_those_who_may_send_to_it(mesh: Mesh) -> None:
    """Its own organisation, its senders and those who run the mesh read and list it; to others it is not there."""
    mesh.citylab.open_mailbox("offen")
    for member, known in (
        (mesh.citylab, ["auftraege", "offen"]),
        (mesh.district, ["auftraege", "offen"]),
        (mesh.operator, ["auftraege", "offen"]),
        (mesh.stranger, ["offen"]),
    ):
        assert mesh.mailbox
        assert names(member, mesh.citylab.organisation) == known
    assert get(mesh.district, mesh.mailbox) == get(mesh.citylab, mesh.mailbox)
    with refused("NOT_FOUND"):
        get(mesh.stranger, mesh.mailbox)
    assert names(mesh.stranger, "organisations/nobody") == []


def test_a_sender_learns_of_no_other_sender(mesh: Mesh) -> None:
    """Who may send is read by the mailbox's organisation and by operators; a sender reads of itself."""
    own, other = mesh.district.organisation, mesh.stranger.organisation
    name = mesh.citylab.open_mailbox("zwei", senders=[own, other])
    for member, told in (
        (mesh.citylab, [own, other]),
        (mesh.operator, [own, other]),
        (mesh.district, [own]),
        (mesh.stranger, [other]),
    ):
        assert list(get(member, name).senders) == told
        request = pb.ListMailboxesRequest(parent=mesh.citylab.organisation)
        listed = {mailbox.name: mailbox for mailbox in member.mailboxes.ListMailboxes(request).mailboxes}
        assert list(listed[name].senders) == told


def test_others_cannot_change_what_they_know_nor_find_what_they_do_not(mesh: Mesh) -> None:
    """A sender is told that it is not theirs, a stranger that there is none: to update, close and open."""
    for member, reason in ((mesh.district, "NOT_OWNER"), (mesh.stranger, "NOT_FOUND")):
        with refused(reason):
            update(member, pb.Mailbox(name=mesh.mailbox, title="x"), "title")
        with refused(reason):
            member.mailboxes.CloseMailbox(pb.CloseMailboxRequest(name=mesh.mailbox))
        with refused(reason):
            member.mailboxes.OpenMailbox(pb.OpenMailboxRequest(name=mesh.mailbox))
    request = pb.CreateMailboxRequest(
        parent=mesh.citylab.organisation, mailbox_id="x", mailbox=pb.Mailbox(title="x"), request_id=new_id()
    )
    with refused("NOT_OWNER"):
        mesh.district.mailboxes.CreateMailbox(request)
    with refused("PERMISSION_MISSING"):
        mesh.member("citylab", roles=("system",)).mailboxes.CreateMailbox(request)


def test_those_who_run_the_mesh_make_and_change_mailboxes_for_others(mesh: Mesh) -> None:
    """And the evidence log is owed a leaf of each change."""
    request = pb.CreateMailboxRequest(
        parent=mesh.citylab.organisation, mailbox_id="post", mailbox=pb.Mailbox(title="Post")
    )
    made = mesh.operator.mailboxes.CreateMailbox(request)
    update(mesh.operator, pb.Mailbox(name=made.name, title="Poststelle"), "title")
    mesh.citylab.mailboxes.CloseMailbox(pb.CloseMailboxRequest(name=made.name))
    mesh.citylab.mailboxes.CloseMailbox(pb.CloseMailboxRequest(name=made.name))
    opened = mesh.citylab.mailboxes.OpenMailbox(pb.OpenMailboxRequest(name=made.name))
    assert (opened.title, opened.state) == ("Poststelle", pb.MAILBOX_STATE_OPEN)
    verbs = ["created", "updated", "closed", "opened"]
    assert intended(mesh.dsn, made.name) == [f"exchange.mailbox.{verb}" for verb in verbs]


def test_an_update_changes_what_it_names(mesh: Mesh) -> None:
    """The mask says what; what changes nothing leaves the etag; a stale etag and an unknown path are refused."""
    before = get(mesh.citylab, mesh.mailbox)
    assert update(mesh.citylab, pb.Mailbox(name=mesh.mailbox, title=before.title), "title") == before
    after = update(
        mesh.citylab, pb.Mailbox(name=mesh.mailbox, media_types=["application/pdf"], claim_seconds=60), "media_types"
    )
    assert (list(after.media_types), after.claim_seconds, after.senders) == (["application/pdf"], 0, before.senders)
    with refused("STALE"):
        update(mesh.citylab, pb.Mailbox(name=mesh.mailbox, title="x", etag=before.etag), "title")
    with refused("INPUT_INVALID"):
        update(mesh.citylab, pb.Mailbox(name=mesh.mailbox, title="x"), "state")
    assert list(update(mesh.citylab, pb.Mailbox(name=mesh.mailbox), "senders").senders) == []


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("title", "a\0b"),
        ("title", ""),
        ("title", "x" * 201),
        ("senders", ["nobody"]),
        ("senders", ["organisations/a", "organisations/a"]),
        ("media_types", ["application"]),
        ("media_types", ["*/*"]),
        ("document_bytes_max", -1),
        ("pickup_days", 366),
        ("claim_seconds", 604801),
    ],
)
def test_what_breaks_a_constraint_is_refused(mesh: Mesh, field: str, wrong: object) -> None:
    """With the path of the field, to make and to change."""
    content = pb.Mailbox(**{"title": "Post", field: wrong})  # type: ignore[arg-type] # wrong on purpose
    request = pb.CreateMailboxRequest(parent=mesh.citylab.organisation, mailbox_id="x", mailbox=content)
    with refused("INPUT_INVALID") as found:
        mesh.citylab.mailboxes.CreateMailbox(request)
    assert [path.partition("[")[0] for path in fields_of(found[0])] == [f"mailbox.{field}"]
    content.name = mesh.mailbox
    with refused("INPUT_INVALID"):
        update(mesh.citylab, content, field)


def test_a_repetition_has_one_effect(mesh: Mesh) -> None:
    """The same request gets the same answer, a name in use is refused, the id of another request too."""
    request_id = new_id()
    request = pb.CreateMailboxRequest(
        parent=mesh.citylab.organisation, mailbox_id="a", mailbox=pb.Mailbox(title="A"), request_id=request_id
    )
    first = mesh.citylab.mailboxes.CreateMailbox(request)
    assert mesh.citylab.mailboxes.CreateMailbox(request) == first
    request.mailbox.title = "B"
    with refused("REQUEST_ID_REUSED"):
        mesh.citylab.mailboxes.CreateMailbox(request)
    request.request_id = new_id()
    with refused("ALREADY_EXISTS"):
        mesh.citylab.mailboxes.CreateMailbox(request)


def test_mailboxes_are_paged_by_name(mesh: Mesh) -> None:
    """Every one comes once, and a token fits its own list."""
    made = [mesh.citylab.open_mailbox(f"m{number}").rsplit("/", 1)[-1] for number in range(5)]
    request = pb.ListMailboxesRequest(parent=mesh.citylab.organisation, page_size=2)
    found: list[str] = []
    for _ in range(3):
        page = mesh.stranger.mailboxes.ListMailboxes(request)
        found += [mailbox.name.rsplit("/", 1)[-1] for mailbox in page.mailboxes]
        request.page_token = page.next_page_token
    assert (found, request.page_token) == (made, "")
    token = mesh.stranger.mailboxes.ListMailboxes(
        pb.ListMailboxesRequest(parent=mesh.citylab.organisation, page_size=2)
    ).next_page_token
    with refused("CURSOR_INVALID"):
        names(mesh.district, mesh.citylab.organisation, page_size=2, page_token=token)
