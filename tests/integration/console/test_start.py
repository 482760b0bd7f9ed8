"""The first page: what waits for a person, and what they wait for."""

from datetime import UTC

import psycopg
import pytest

from tests.integration.console.desk import CITYLAB, DISTRICT, TITLES, Desk

PROVIDER = """
    INSERT INTO identity.providers (name, organisation, title, issuer, audience, mapping, state, revision, create_time,
        update_time)
    VALUES (%(name)s, %(organisation)s, 'Home', 'https://home.example', 'verbund', '{}', 'draft', 1, now(), now())
"""
PERSON = """
    INSERT INTO identity.people (name, organisation, provider, home_subject, display_name, email, create_time,
        update_time)
    VALUES (%(name)s, %(organisation)s, %(provider)s, 'erika', 'Erika Mustermann <b>', '', now(), now())
"""
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def test_what_waits_stands_where_it_belongs(desk: Desk) -> None:
    """A delivery waits for its receiver and not for its sender, with whom, what to do, and until when."""
    sent = desk.exchange.district.send(desk.exchange.mailbox, "projektauftrag", subject="Projektauftrag")
    address = f"/console/deliveries/{DISTRICT}/projektauftrag"
    receiver, sender = desk.person(CITYLAB).read("/console/"), desk.person(DISTRICT).read("/console/")
    waits = receiver.section("Wartet auf Sie")
    assert "Projektauftrag" in waits
    assert f"von {TITLES[DISTRICT]}" in waits
    assert "Ansehen und annehmen oder ablehnen" in waits
    due = sent.next.due_time.ToDatetime(UTC)
    assert f"{due.year}" in waits
    assert "in 13 Tagen" in waits
    assert address in receiver.links()
    assert "Zurzeit warten Sie auf niemanden." in receiver.section("Wartet auf andere")
    others = sender.section("Wartet auf andere")
    assert f"an {TITLES[CITYLAB]}" in others
    assert f"{TITLES[CITYLAB]}: Ansehen" in others
    assert "Zurzeit wartet nichts auf Sie." in sender.section("Wartet auf Sie")


def test_drafts_and_what_was_rejected_wait_for_their_sender(desk: Desk) -> None:
    """Whoever began something is reminded of it; what has ended stands nowhere."""
    district, citylab = desk.exchange.district, desk.exchange.citylab
    district.begin(desk.exchange.mailbox, "entwurf", subject="Ein Entwurf")
    for name in ("abgelehnt", "angenommen"):
        sent = district.send(desk.exchange.mailbox, name, subject=name)
        citylab.claim(sent.name)
        (citylab.reject if name == "abgelehnt" else citylab.accept)(sent.name)
    waits = desk.person(DISTRICT).read("/console/").section("Wartet auf Sie")
    assert "Ein Entwurf" in waits
    assert "abgelehnt" in waits
    assert "Berichtigen und neu senden" in waits
    assert "angenommen" not in waits
    receiver = desk.person(CITYLAB).read("/console/").text
    assert "Ein Entwurf" not in receiver
    assert "angenommen" not in receiver


def test_nothing_to_do_says_what_comes_next(desk: Desk) -> None:
    """An empty page is no blank page: it says what will stand here, in both languages."""
    german = desk.person(CITYLAB).read("/console/")
    assert "Geht eine Zustellung bei Ihnen ein, steht sie hier." in german.text
    assert f"Sie arbeiten für: {TITLES[CITYLAB]}" in german.text
    english = desk.person(CITYLAB).read("/console/?lang=en")
    assert "Nothing waits for you at present." in english.section("Waits for you")
    assert "/console/projects" in english.links()


def test_the_page_says_who_is_signed_in(desk: Desk) -> None:
    """By name and organisation, with the way out; a name that the mesh does not know is left out."""
    name = f"organisations/{CITYLAB}/people/{'p' * 26}"
    provider = f"organisations/{CITYLAB}/providers/home"
    with psycopg.connect(f"{desk.exchange.dsn}&user=postgres") as connection:
        connection.execute(PROVIDER, {"name": provider, "organisation": f"organisations/{CITYLAB}"})
        connection.execute(PERSON, {"name": name, "organisation": f"organisations/{CITYLAB}", "provider": provider})
    shown = desk.person(CITYLAB, sub=name, idp=provider).read("/console/?lang=en")
    assert "Signed in: Erika Mustermann <b>" in shown.text
    assert f"You work for: {TITLES[CITYLAB]}" in shown.text
    assert "/console/signout" in shown.links()
    unknown = desk.person(CITYLAB, idp=provider).read("/console/?lang=en")
    assert "Signed in" not in unknown.text
    assert "/console/signout" in unknown.links()
    assert "/console/signout" not in desk.bearing("").read("/console/signed-out").links()


def test_who_runs_the_mesh_sees_no_deliveries(desk: Desk) -> None:
    """A role without them gets the page, and is told whom to ask."""
    shown = desk.person("betrieb", roles=("operator",)).read("/console/")
    assert "Ihre Rolle sieht keine Zustellungen." in shown.text


@pytest.mark.parametrize(
    ("asked", "cookie", "accepted", "language"),
    [
        ("", "", "", "de"),
        ("", "", "en-GB,en;q=0.9,de;q=0.5", "en"),
        ("", "", "fr, de;q=0.2, en;q=0.1", "de"),
        ("", "en", "de", "en"),
        ("de", "en", "en", "de"),
        ("xx", "", "en", "en"),
    ],
)
def test_the_language_is_the_persons(desk: Desk, asked: str, cookie: str, accepted: str, language: str) -> None:
    """What is asked for, else what is remembered, else what the browser says; only what is asked for is remembered."""
    headers = {"Accept-Language": accepted, "Cookie": f"__Host-verbund-language={cookie}"}
    shown = desk.person(CITYLAB).read(f"/console/?lang={asked}", headers)
    assert shown.root.attrib["lang"] == language == shown.answer.headers["content-language"]
    assert shown.title == {"de": "Übersicht · Verbund", "en": "Overview · Verbund"}[language]
    kept = shown.answer.headers.get("set-cookie", "")
    assert kept.startswith(f"__Host-verbund-language={language}; Path=/; ") == (asked == language)
    assert not kept or all(flag in kept for flag in ("; Secure", "; HttpOnly", "; SameSite=Lax"))


@pytest.mark.parametrize("token", ["", "none"])
def test_a_stranger_is_asked_to_sign_in(desk: Desk, token: str) -> None:
    """Without a token, and with one that is none, there is a page and not a line of JSON."""
    shown = desk.bearing(token).read("/console/", status=401)
    assert "Ihre Anmeldung ist beendet" in shown.text
    assert "/console/signout" not in shown.links()
    assert shown.answer.headers["www-authenticate"].startswith("Bearer")
    assert shown.answer.headers["cache-control"] == "private, no-store"


def test_pages_are_kept_nowhere_and_run_nothing(desk: Desk) -> None:
    """Whatever page it is: nothing is loaded but the style, no frame holds it, no cache keeps it."""
    for path, status in (("/console/", 200), ("/console/projects", 200), ("/console/nothing", 404)):
        headers = desk.person(CITYLAB).read(path, status=status).answer.headers
        assert headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        assert headers["cache-control"] == "private, no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_what_others_wrote_is_text(desk: Desk) -> None:
    """A script in a subject is shown, and never run."""
    desk.exchange.district.send(desk.exchange.mailbox, "script", subject=SCRIPT)
    shown = desk.person(CITYLAB).read("/console/")
    assert SCRIPT in shown.text
    assert not list(shown.root.iter("script"))
    assert not list(shown.root.iter("img"))


def test_the_style_is_read_once(desk: Desk) -> None:
    """One stylesheet for all pages, without a token, kept by the browser."""
    anybody = desk.bearing("").client
    answer = anybody.get("/console/style.css")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert answer.headers["cache-control"].startswith("public, max-age=")
    assert anybody.get("/console/style.css", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert "url(" not in answer.text
    assert "@import" not in answer.text


def test_who_signed_out_is_told(desk: Desk) -> None:
    """A page for anybody."""
    assert "Sie sind abgemeldet" in desk.bearing("").read("/console/signed-out").text
