"""Two organisations of a running mesh that exchange documents: one sends, the other has a mailbox."""

import uuid
from dataclasses import dataclass

import grpc
from verbund.embedded import home as homes
from verbund.exchange.v1 import mailbox_service_pb2 as mailboxes
from verbund.exchange.v1.mailbox_service_pb2_grpc import MailboxServiceStub
from verbund.sdk import Client
from verbund.tour import members
from verbund.tour.creation import created
from verbund.tour.sample import Member

from tests.support.home import Up
from tests.support.load import wait_until


@dataclass(frozen=True)
class Pair:
    """Who sends, who receives, and where."""

    up: Up
    sender: str
    receiver: str
    mailbox: str

    def sending(self) -> Client:
        """The sender's client."""
        return Client.from_home(self.up.home, self.sender)

    def receiving(self) -> Client:
        """The receiver's client."""
        return Client.from_home(self.up.home, self.receiver)


def pair_of(up: Up, sender: str, receiver: str) -> Pair:
    """Admits `city-department/records`, say, and `city-lab/portal` with the mailbox `projects`."""
    home = homes.find(up.home)
    names = []
    with Client.from_home(up.home) as operator:
        for organisation, _, system in (sender.partition("/"), receiver.partition("/")):
            roles = ("admin",) if organisation == receiver.partition("/")[0] else ("system",)
            member = Member(organisation, organisation, system, "A test's system", roles)
            members.admit(operator.channel, home, member)
            names.append(member.system)
    wait_until(lambda: {*names} <= {entry["name"] for entry in up.ready()["systems"]}, "ready.json lists them not")
    owner = f"organisations/{receiver.partition('/')[0]}"
    with Client.from_home(up.home, names[1]) as client:
        created(lambda: make_mailbox(client.channel, owner))
    return Pair(up, names[0], names[1], f"{owner}/mailboxes/projects")


def make_mailbox(channel: grpc.Channel, owner: str) -> None:
    """A mailbox for everything and everybody."""
    MailboxServiceStub(channel).CreateMailbox(
        mailboxes.CreateMailboxRequest(
            parent=owner,
            mailbox_id="projects",
            mailbox=mailboxes.Mailbox(title="Projects"),
            request_id=str(uuid.uuid4()),
        ),
        timeout=20,
    )
