"""A delivery's page, and what is decided on it."""

import hashlib
from urllib.parse import urlencode

import pytest
from verbund.console.routes import SESSION_COOKIES
from verbund.exchange.v1 import delivery_service_pb2 as pb

from tests.integration.console.desk import CITYLAB, DISTRICT, STRANGER, TITLES, Desk, Shown
from tests.integration.exchange.mesh import state_name
from tests.support.members import new_id

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
PAGE, FORM = f"/console/deliveries/{DISTRICT}/auftrag", f"/console/decisions/{DISTRICT}/auftrag"
NAME = f"organisations/{DISTRICT}/deliveries/auftrag"


@pytest.fixture
def sent(desk: Desk) -> pb.Delivery:
    """A delivery that waits for CityLAB."""
    mesh = desk.exchange
    return mesh.district.send(mesh.mailbox, "auftrag", message="Bitte bis Freitag.\nDanke", reference="Stadt-7/24")


def test_it_says_what_where_from_and_whose_turn(desk: Desk, sent: pb.Delivery) -> None:
    """Documents with their size and address, the way so far in words, digests under technical details."""
    shown = desk.person(CITYLAB).read(PAGE)
    assert shown.title == "Projektauftrag · Verbund"
    facts = shown.section("Auf einen Blick")
    for fact in ("Eingegangen", "Sie sind am Zug", TITLES[DISTRICT], TITLES[CITYLAB], "Poststelle", "Stadt-7/24"):
        assert fact in facts, fact
    assert "order.pdf PDF 5 Byte Herunterladen" in shown.section("Dokumente")
    assert f"/files/{NAME}/documents/order" in shown.links()
    assert f"{TITLES[DISTRICT]} hat die Zustellung abgesendet." in shown.section("Verlauf")
    assert f"Danach am Zug: {TITLES[CITYLAB]}, bis " in shown.section("Verlauf")
    (technical,) = shown.root.iter("details")
    for detail in (NAME, sent.trace_id, sent.manifest_sha256, hashlib.sha256(b"order").hexdigest()):
        assert detail in "".join(technical.itertext())


def test_accepting_takes_one_click(desk: Desk, sent: pb.Delivery) -> None:
    """The form claims and accepts; sent again it changes nothing, and leads back to the page."""
    person = desk.person(CITYLAB)
    request_id = person.read(PAGE).request_id()
    for _ in range(2):
        answer = person.send(FORM, {"action": "accept", "request_id": request_id})
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    assert desk.exchange.citylab.events(sent.name) == ["SUBMITTED", "CLAIMED", "ACCEPTED"]
    shown = person.read(PAGE)
    assert "Angenommen" in shown.section("Auf einen Blick")
    assert not list(shown.root.iter("form"))


def test_rejecting_needs_a_reason_and_keeps_what_was_typed(desk: Desk, sent: pb.Delivery) -> None:
    """What is missing is said beside its field; nothing is claimed before; then the sender reads the reason."""
    person = desk.person(CITYLAB)
    request_id = person.read(PAGE).request_id()
    explanation = "Anlage 2 fehlt.\r\nBitte <b>nachreichen</b>."
    for fields, wrong in (
        ({"reason": "", "explanation": explanation}, "Bitte wählen Sie einen Grund der Ablehnung."),
        ({"reason": "INCOMPLETE", "explanation": "  "}, "Bitte schreiben Sie dem Absender"),
        ({"reason": "INCOMPLETE", "explanation": "x" * 2001}, "Die Begründung ist zu lang."),
    ):
        answer = person.send(FORM, {"action": "reject", "request_id": request_id, **fields})
        assert answer.status_code == 400
        assert wrong in answer.text
        assert 'role="alert"' in answer.text
        assert fields["explanation"].strip().split("\r")[0].replace("<", "&lt;") in answer.text
        assert ('value="INCOMPLETE" selected' in answer.text) == bool(fields["reason"])
        assert f'value="{request_id}"' in answer.text
        # The other language is at the page, which a form's address is not.
        assert f'href="{PAGE}?lang=en"' in answer.text
    assert state_name(desk.exchange.citylab.get(sent.name)) == "AVAILABLE"
    done = {"action": "reject", "request_id": request_id, "reason": "INCOMPLETE", "explanation": explanation}
    for _ in range(2):
        assert person.send(FORM, done).status_code == 303
    rejection = desk.exchange.district.get(sent.name).rejection
    assert (rejection.reason, rejection.explanation) == (
        pb.REJECTION_REASON_INCOMPLETE,
        "Anlage 2 fehlt.\nBitte <b>nachreichen</b>.",
    )
    told = desk.person(DISTRICT).read(PAGE)
    assert "Etwas fehlt" in told.section("Grund der Ablehnung")
    assert "Berichtigen und neu senden" in told.section("Auf einen Blick")


def test_a_sender_takes_it_back(desk: Desk, sent: pb.Delivery) -> None:
    """Then its receiver sees that, and no documents."""
    person = desk.person(DISTRICT)
    request_id = person.read(PAGE).request_id()
    assert person.send(FORM, {"action": "withdraw", "request_id": request_id}).status_code == 303
    assert state_name(desk.exchange.district.get(sent.name)) == "WITHDRAWN"
    shown = desk.person(CITYLAB).read(PAGE)
    assert "Zurückgezogen" in shown.section("Auf einen Blick")
    assert "ihre Dokumente sind nicht mehr einsehbar" in shown.text


def test_what_changed_meanwhile_is_said(desk: Desk, sent: pb.Delivery) -> None:
    """A form that comes too late shows the delivery as it is, and what was typed."""
    person = desk.person(CITYLAB)
    request_id = person.read(PAGE).request_id()
    desk.exchange.district.withdraw(sent.name)
    fields = {"reason": "OTHER", "explanation": "Das war viel Arbeit."}
    answer = person.send(FORM, {"action": "reject", "request_id": request_id, **fields})
    assert answer.status_code == 400
    assert "Die Zustellung hat sich inzwischen geändert." in answer.text
    assert "Das war viel Arbeit." in answer.text
    assert "Zurückgezogen" in answer.text


def test_who_else_is_at_it_is_said(desk: Desk, sent: pb.Delivery) -> None:
    """While a colleague has claimed it, nobody else is offered to decide, or can."""
    desk.exchange.citylab.claim(sent.name)
    person = desk.person(CITYLAB)
    shown = person.read(PAGE)
    assert "wird gerade in Ihrer Organisation bearbeitet" in shown.text
    assert not list(shown.root.iter("form"))
    assert person.send(FORM, {"action": "accept", "request_id": new_id()}).status_code == 400
    assert state_name(desk.exchange.citylab.get(sent.name)) == "CLAIMED"


def test_a_role_is_offered_what_it_may(desk: Desk, sent: pb.Delivery) -> None:
    """A viewer follows the delivery; what is sent all the same is refused on the page."""
    viewer = desk.person(CITYLAB, roles=("viewer",))
    shown = viewer.read(PAGE)
    assert not list(shown.root.iter("form"))
    assert not [link for link in shown.links() if link.startswith("/files/")]
    assert "die Dokumente aber nicht öffnen" in shown.text
    answer = viewer.send(FORM, {"action": "accept", "request_id": new_id()})
    assert answer.status_code == 403
    assert "Ihre Rolle darf das nicht." in answer.text
    assert state_name(desk.exchange.citylab.get(sent.name)) == "AVAILABLE"


def test_a_stranger_learns_nothing(desk: Desk, sent: pb.Delivery) -> None:
    """To read and to decide: as if there were none. A draft is known to its sender only."""
    desk.exchange.district.begin(desk.exchange.mailbox, "entwurf")
    draft = PAGE.replace("auftrag", "entwurf")
    assert sent.name == NAME
    for person, address in ((desk.person(STRANGER), PAGE), (desk.person(CITYLAB), draft)):
        hidden = person.read(address, status=404).text
        absent = person.read(f"/console/deliveries/{DISTRICT}/nichts", status=404).text
        assert hidden == absent
    answer = desk.person(STRANGER).send(FORM, {"action": "accept", "request_id": new_id()})
    assert answer.status_code == 404
    for path in ("x", "x/y/z", "A/b", ""):
        desk.person(CITYLAB).read(f"/console/deliveries/{path}", status=404)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://127.0.0.1:8443", "Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_form_of_another_site_is_refused(desk: Desk, sent: pb.Delivery, headers: dict[str, str]) -> None:
    """Whatever its token: 403, and nothing happened."""
    answer = desk.person(CITYLAB).send(FORM, {"action": "accept", "request_id": new_id()}, headers)
    assert answer.status_code == 403
    assert "das Formular kam nicht von dieser Seite" in answer.text
    assert state_name(desk.exchange.citylab.get(sent.name)) == "AVAILABLE"


def test_what_is_no_form_of_ours_is_refused(desk: Desk, sent: pb.Delivery) -> None:
    """Another type, an unknown action, no request id, a field twice, too much of it."""
    person = desk.person(CITYLAB)
    headers = {"Origin": "https://127.0.0.1:8443"}
    bodies = (
        ("text/plain", f"action=accept&request_id={new_id()}"),
        ("application/x-www-form-urlencoded", f"action=delete&request_id={new_id()}"),
        ("application/x-www-form-urlencoded", "action=accept&request_id=1"),
        ("application/x-www-form-urlencoded", f"action=accept&action=reject&request_id={new_id()}"),
        ("application/x-www-form-urlencoded", "%ff=\xff"),
    )
    for media, body in bodies:
        answer = person.client.post(FORM, content=body.encode("latin-1"), headers=headers | {"Content-Type": media})
        assert (answer.status_code, "nicht verständlich" in answer.text) == (400, True), body
    large = person.client.post(
        FORM, content=b"a=" + b"x" * 70_000, headers=headers | {"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert large.status_code == 429
    assert state_name(desk.exchange.citylab.get(sent.name)) == "AVAILABLE"


def test_what_others_wrote_is_text(desk: Desk) -> None:
    """A script in any field that the page shows is shown, and never run."""
    mesh = desk.exchange
    mailbox = mesh.citylab.open_mailbox("script", title=SCRIPT)
    mesh.district.send(mailbox, "auftrag", subject=SCRIPT, message=SCRIPT, reference=SCRIPT)
    person = desk.person(CITYLAB)
    assert person.read(PAGE).text.count(SCRIPT) >= 5
    fields = {"reason": "OTHER", "explanation": SCRIPT}
    assert person.send(FORM, {"action": "reject", "request_id": new_id(), **fields}).status_code == 303
    shown = person.read(PAGE)
    assert SCRIPT in shown.section("Grund der Ablehnung")
    assert not list(shown.root.iter("script"))
    assert not list(shown.root.iter("img"))


@pytest.mark.parametrize("token", ["", "nonsense", "expired", "revoked"])
@pytest.mark.parametrize("action", ["accept", "reject", "withdraw"])
def test_who_is_not_signed_in_any_more_keeps_what_they_typed(
    desk: Desk, sent: pb.Delivery, token: str, action: str
) -> None:
    """The page says that nothing was sent, how to sign in beside it, and has the form as it was, to be sent again; the
    cookies of a session that is over are taken away. Sent again it works, once.
    """
    whose = DISTRICT if action == "withdraw" else CITYLAB
    nobody = {
        "expired": lambda: desk.person(whose, exp=1),
        "revoked": lambda: desk.refused_by_services(whose),  # while the form was on its way
    }.get(token, lambda: desk.bearing(token))()
    fields = {"action": action, "request_id": new_id()}
    if action == "reject":
        fields |= {"reason": "OTHER", "explanation": f"Zeile 1\r\n{SCRIPT}"}
    answer = nobody.send(FORM, fields)
    shown = Shown(answer)
    assert answer.status_code == 401
    assert "Es wurde nichts abgesendet" in shown.text
    assert "/console/signout" not in shown.links()
    (way,) = (node for node in shown.root.iter("a") if node.attrib["href"] == "/console/signed-in")
    assert way.attrib["target"] == "_blank"
    (form,) = shown.root.iter("form")
    assert (form.attrib["action"], form.attrib["method"], shown.request_id()) == (FORM, "post", fields["request_id"])
    assert {name.partition("=")[0] for name in answer.headers.get_list("set-cookie")} == set(SESSION_COOKIES.values())
    if action == "reject":
        assert form.findall(".//option[@selected]")[0].attrib["value"] == "OTHER"
        assert form.findall(".//textarea")[0].text == f"\nZeile 1\n{SCRIPT}"
    assert state_name(desk.exchange.citylab.get(sent.name)) == "AVAILABLE"
    for _ in range(2):
        assert desk.person(whose).send(FORM, fields).status_code == 303
    done = {"accept": "ACCEPTED", "reject": "REJECTED", "withdraw": "WITHDRAWN"}[action]
    assert state_name(desk.exchange.district.get(sent.name)) == done


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
def test_nobody_fills_in_our_form_from_elsewhere(desk: Desk, headers: dict[str, str], kind: str) -> None:
    """What another site sends to somebody who is not signed in is refused, and nothing of it is shown."""
    body = urlencode({"action": "reject", "request_id": new_id(), "reason": "OTHER", "explanation": "Überweisen Sie"})
    answer = desk.bearing("").client.post(FORM, content=body, headers={"Content-Type": kind, **headers})
    assert answer.status_code == 403
    assert "berweisen" not in answer.text
    assert not list(Shown(answer).root.iter("form"))


def test_a_refusal_shows_who_is_signed_in(desk: Desk, sent: pb.Delivery) -> None:
    """Also there is the way out of the session; nobody else's page has it."""
    person = desk.person(CITYLAB)
    person.read(PAGE)  # its title is known from now on
    for path in (f"/console/deliveries/{DISTRICT}/nichts", "/console/nothing"):
        shown = person.read(path, status=404)
        assert "/console/signout" in shown.links()
        assert TITLES[CITYLAB] in shown.text
    elsewhere = person.send(FORM, {"action": "accept", "request_id": new_id()}, {})
    assert elsewhere.status_code == 403
    assert "/console/signout" in Shown(elsewhere).links()
    assert state_name(desk.exchange.citylab.get(sent.name)) == "AVAILABLE"


def test_after_the_sign_on_there_is_the_page_that_was_wanted(desk: Desk) -> None:
    """A session that ended elsewhere is said to be over, in both languages, with the way back to the same page."""
    for language, said in (("de", "Ihre Anmeldung ist beendet"), ("en", "Your session has ended")):
        headers = {"Accept-Language": language}
        shown = desk.person(CITYLAB, exp=1).read("/console/projects?q=Hardenberg", headers, status=401)
        assert said in shown.text
        assert "/console/projects?q=Hardenberg" in shown.links()
        kept = shown.answer.headers.get_list("set-cookie")
        assert {name.partition("=")[0] for name in kept} == set(SESSION_COOKIES.values())
        assert all("Max-Age=0" in each and "Secure" in each for each in kept)


def test_who_signed_in_beside_is_sent_back(desk: Desk) -> None:
    """The page of the new tab says so, to whom has any role."""
    shown = desk.person(CITYLAB, roles=("auditor",)).read("/console/signed-in")
    assert "Schließen Sie diesen Tab" in shown.text


def test_a_service_that_is_away_is_said(desk: Desk) -> None:
    """Who helps, when to try again, and the trace; the page's status says so to programs."""
    lonely = desk.without_services()
    shown = lonely.read(PAGE, status=503)
    assert "Ein Dienst ist nicht erreichbar" in shown.text
    assert shown.answer.headers["retry-after"]
    english = lonely.read(f"{PAGE}?lang=en", status=503)
    assert "Those who run Verbund." in english.text


@pytest.mark.parametrize("action", ["accept", "reject", "withdraw"])
def test_what_was_typed_outlives_the_services(desk: Desk, sent: pb.Delivery, action: str) -> None:
    """Where not even the delivery can be shown, the form comes back as it was, and says when to send it again."""
    fields = {"action": action, "request_id": new_id(), "reason": "OTHER", "explanation": f"Zeile 1\r\n{SCRIPT}"}
    answer = desk.without_services().send(FORM, fields)
    shown = Shown(answer)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "es wirkt nur einmal" in shown.text
    assert "/console/signout" in shown.links()
    (form,) = shown.root.iter("form")
    assert (form.attrib["action"], shown.request_id()) == (FORM, fields["request_id"])
    assert [each.text for each in form.findall(".//textarea")] == [f"\nZeile 1\n{SCRIPT}"] * (action == "reject")
    assert state_name(desk.exchange.citylab.get(sent.name)) == "AVAILABLE"
