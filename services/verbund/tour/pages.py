"""The delivery on a page for people: the link that the tour ends with, who signs in there, what a browser needs."""

import httpx

from verbund.console.site.mail import address_of
from verbund.sdk.client import Client
from verbund.sdk.refusals import Refused
from verbund.tour.mesh import Mesh
from verbund.tour.people import person_of
from verbund.tour.sample import Member
from verbund.tour.steps import StepFailed, Told


def show(mesh: Mesh, person: Client, member: Member, username: str, delivery: str) -> Told[None]:
    """Reads the delivery's page as its receiver; raises StepFailed where it does not show what was sent."""
    address = address_of(delivery)
    answer = person.http.get(address, headers={"accept": "text/html", "accept-language": "en"})
    if answer.status_code != httpx.codes.OK:
        raise Refused.from_http(answer)
    if delivery not in answer.text:
        raise StepFailed(f"The page {address} shows another delivery.", f"see the console's logs in {mesh.home.log}")
    page = f"{mesh.ready()['gateway']}{address}"
    username = person_of(mesh, member, username)["username"]
    line = f"{member.title} reads it on a page, in a browser, signed in at home, and can accept or reject it there."
    passwords, ca = mesh.home.named / "ready.json", mesh.home.named / "tls" / "ca.pem"
    below = [
        page,
        f"sign in there for {member.title} as {username}; the password is under “people” in {passwords}",
        f"the browser warns until it trusts {ca}",
    ]
    return Told(line, None, {"page": page, "username": username, "passwords": str(passwords), "ca": str(ca)}, below)
