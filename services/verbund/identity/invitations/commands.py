"""`verbund org …`: invite organisations, admit them, and join as one."""

import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from verbund.failure import ExitCode, Failure
from verbund.identity.invitations.joining import KeyUnusable, accept, own_key
from verbund.identity.v1 import invitation_service_pb2 as pb
from verbund.identity.v1 import organisation_service_pb2 as organisations
from verbund.identity.v1.invitation_service_pb2_grpc import InvitationServiceStub
from verbund.identity.v1.organisation_service_pb2_grpc import OrganisationServiceStub
from verbund.options import Show, home_option, json_option
from verbund.sdk.client import Client
from verbund.sdk.connection import connection, failure_of
from verbund.sdk.refusals import Refused

Listed = organisations.Organisation | pb.Invitation

CALL_SECONDS = 30.0
PAGES_MAX = 1_000
as_option = click.option(
    "--as", "acting", metavar="SYSTEM", help="The operator's system to act as; else the first of ready.json."
)


@click.group("org")
def org() -> None:
    """Invite organisations to the mesh and admit them, or join it as one."""


@org.command("invite", short_help="Invite an organisation; prints its code.")
@click.argument("organisation_id", metavar="ID")
@click.option("--title", required=True, help="The organisation's official name.")
@click.option("--system", "system_id", required=True, help="The id of its first system: portal.")
@click.option("--system-title", help="What the system is called; else its id.")
@click.option("--role", "roles", multiple=True, help="A role of the system; repeatable. Else admin and system.")
@click.option("--days", type=click.IntRange(1, 90), default=14, show_default=True, help="How long it can be accepted.")
@as_option
@home_option
@json_option
def invite(
    *,
    organisation_id: str,
    title: str,
    system_id: str,
    system_title: str | None,
    roles: tuple[str, ...],
    days: int,
    acting: str | None,
    named: Path | None,
    show: Show,
) -> None:
    """Invite the organisation that shall have the id ID, as an operator.

    What is printed is for the invited: a command, and a code that is told once. Send them on different ways; whoever
    has the code joins as the organisation.
    """
    wanted = pb.Invitation(
        organisation_id=organisation_id,
        organisation_title=title,
        system_id=system_id,
        system_title=system_title or system_id,
        roles=roles or ("admin", "system"),
    )
    wanted.expire_time.FromDatetime(datetime.now(UTC) + timedelta(days=days))
    with connection(named, acting) as client:
        request = pb.CreateInvitationRequest(invitation=wanted)
        made = InvitationServiceStub(client.channel).CreateInvitation(request, timeout=CALL_SECONDS)
        command = joining_command(made, gateway=str(client.http.base_url).rstrip("/"))
    show(
        {"invitation": made.name, "code": made.code, "command": command},
        f"{title} is invited until {made.expire_time.ToDatetime():%Y-%m-%d}. Its administrator runs, with this mesh's"
        f" ca.pem:\n\n  {command}\n\nand types the code, which is told here and nowhere again:\n\n  {made.code}\n\n"
        f"Then look at what was accepted, and admit:\n\n  verbund org admit {made.name}",
    )


def joining_command(invitation: pb.Invitation, *, gateway: str) -> str:
    """What the invited run. The code is not in it: commands are seen by everybody on a machine."""
    words = [
        *("verbund", "org", "join", invitation.name),
        *("--title", invitation.organisation_title),
        *("--code-file", "-"),
        *("--key", f"{invitation.organisation_id}-{invitation.system_id}.json"),
        *("--gateway", gateway),
        *("--ca", "ca.pem"),
    ]
    return shlex.join(words)


@org.command("join", short_help="Accept an invitation, with a key of your own.")
@click.argument("invitation")
@click.option("--title", required=True, help="Your organisation's official name, as you write it.")
@click.option(
    "--code-file",
    type=click.File("r"),
    default="-",
    help="A file with the code; - is the standard input. Else you are asked for it.",
)
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Your system's private key, a JSON Web Key; made there where it is missing.",
)
@click.option("--gateway", required=True, metavar="URL", help="The mesh's address: https://127.0.0.1:8443.")
@click.option(
    "--ca",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The certificates that you trust for the gateway.",
)
@json_option
def join(*, invitation: str, title: str, code_file: Any, key_file: Path, gateway: str, ca: Path, show: Show) -> None:
    """Accept INVITATION, invitations/…, for your organisation.

    The private key stays in its file: only the public part is sent. The code is read from a file, from the standard
    input or from the keyboard. Running it again changes nothing and says what has become of the invitation.
    """
    if not gateway.startswith("https://") or not urlsplit(gateway).hostname:
        raise click.BadParameter("it is an https:// address", param_hint="--gateway")
    try:
        key = own_key(key_file)
        code = read_code(code_file)
        answer = accept(gateway, ca, invitation=invitation, code=code, key=key, title=title)
    except KeyUnusable as error:
        raise Failure(f"{error}.", who="You", remedy="name another file for the key.", code=ExitCode.USAGE) from None
    except Refused as refused:
        raise unreachable(gateway, refused) if refused.reason == "" else failure_of(refused) from None
    show(answer, accepted(answer, key_file))


def accepted(answer: pb.AcceptInvitationResponse, key_file: Path) -> str:
    """What has become of the invitation, and what comes next."""
    if answer.state == pb.INVITATION_STATE_ADMITTED:
        return f"{answer.organisation} is a member of the mesh. {answer.system} gets tokens with {key_file}."
    return (
        f"Accepted for {answer.organisation}. Tell those who run the mesh the thumbprint of your key:\n\n"
        f"  {answer.kid}\n\nWhen they have admitted you, {answer.system} gets tokens with {key_file}."
        " Keep that file to yourself."
    )


def read_code(file: Any) -> str:
    """The code, of which nothing is shown; raises Failure where there is none."""
    keyboard = file is sys.stdin and sys.stdin.isatty()
    code = click.prompt("Code", hide_input=True, err=True) if keyboard else file.read(1024)
    if not code.strip():
        raise Failure("There is no code.", who="You", remedy="write the code into the file.", code=ExitCode.USAGE)
    return str(code).strip()


def unreachable(gateway: str, refused: Refused) -> Failure:
    """No part of the mesh answered."""
    remedy = "check the address, and that --ca is the file that you got from those who run the mesh."
    return Failure(f"{gateway} cannot be reached: {refused.message}.", who="You", remedy=remedy)


@org.command("admit", short_help="Admit who accepted an invitation.")
@click.argument("invitation")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_option
@home_option
@json_option
def admit(*, invitation: str, yes: bool, acting: str | None, named: Path | None, show: Show) -> None:
    """Admit who accepted INVITATION, as an operator, after a look at the title and the key that they sent."""
    with connection(named, acting) as client:
        stub = InvitationServiceStub(client.channel)
        seen = stub.GetInvitation(pb.GetInvitationRequest(name=invitation), timeout=CALL_SECONDS)
        if not yes:
            ask(seen)
        request = pb.AdmitInvitationRequest(name=invitation, etag=seen.etag)
        admitted = stub.AdmitInvitation(request, timeout=CALL_SECONDS)
    name = f"organisations/{admitted.organisation_id}"
    show(admitted, f"{name} is a member, with the system {admitted.system_id}.")


def ask(seen: pb.Invitation) -> None:
    """Shows what was accepted, and goes on only where that is right."""
    if seen.state == pb.INVITATION_STATE_ACCEPTED:
        click.echo(f"Invited as    {seen.organisation_title}\nAccepted as   {seen.confirmed_title}", err=True)
        click.echo(f"Organisation  {seen.organisation_id}\nSystem        {seen.system_id}", err=True)
        click.echo(f"Roles         {', '.join(seen.roles)}\nKey           {seen.key.kid}", err=True)
        click.confirm("Is this what they told you?", abort=True, err=True)


@org.command("withdraw", short_help="Withdraw an invitation.")
@click.argument("invitation")
@as_option
@home_option
@json_option
def withdraw(*, invitation: str, acting: str | None, named: Path | None, show: Show) -> None:
    """Withdraw INVITATION, as an operator: its code is worth nothing from now on."""
    with connection(named, acting) as client:
        request = pb.WithdrawInvitationRequest(name=invitation)
        withdrawn = InvitationServiceStub(client.channel).WithdrawInvitation(request, timeout=CALL_SECONDS)
    show(withdrawn, f"{withdrawn.name} is withdrawn.")


@org.command("list")
@click.option("--invitations", is_flag=True, help="The invitations instead, as an operator.")
@as_option
@home_option
@json_option
def list_(*, invitations: bool, acting: str | None, named: Path | None, show: Show) -> None:
    """List the organisations of the mesh, one a line."""
    with connection(named, acting) as client:
        found: Sequence[Listed] = listed_invitations(client) if invitations else listed_organisations(client)
    for each in found:
        show(each, line(each))


def listed_organisations(client: Client) -> list[organisations.Organisation]:
    """Every organisation that the caller sees."""
    stub = OrganisationServiceStub(client.channel)
    found: list[organisations.Organisation] = []
    request = organisations.ListOrganisationsRequest(page_size=1000)
    for _ in range(PAGES_MAX):
        page = stub.ListOrganisations(request, timeout=CALL_SECONDS)
        found += page.organisations
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    return found


def listed_invitations(client: Client) -> list[pb.Invitation]:
    """Every invitation."""
    stub = InvitationServiceStub(client.channel)
    found: list[pb.Invitation] = []
    request = pb.ListInvitationsRequest(page_size=1000)
    for _ in range(PAGES_MAX):
        page = stub.ListInvitations(request, timeout=CALL_SECONDS)
        found += page.invitations
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    return found


def line(found: Listed) -> str:
    """An organisation or an invitation in the list."""
    if isinstance(found, organisations.Organisation):
        return f"{found.name}  {found.title}"
    state = pb.InvitationState.Name(found.state).removeprefix("INVITATION_STATE_").lower()
    title = found.confirmed_title or found.organisation_title
    return (
        f"{found.name}  {state:<9}  until {found.expire_time.ToDatetime():%Y-%m-%d}  {found.organisation_id}  {title}"
    )
