"""Sign-on by an e-mail address: it leads to the organisation whose domain it has, and is kept nowhere."""

from html import escape

import httpx
import psycopg
import pytest
import structlog
from verbund.identity.v1 import provider_service_pb2 as pb

from tests.integration.identity.signing_on import SignOns, Visitor, publish, query_of

OWN, OTHER = "organisations/citylab", "organisations/verein"
ASKED = "Bei welcher Organisation arbeiten Sie?"
UNKNOWN = "Zu dieser Adresse ist keine Organisation bekannt"
SEE_OTHER = httpx.codes.SEE_OTHER


@pytest.fixture(scope="module")
def providers(sign_ons: SignOns) -> dict[str, pb.Provider]:
    """Two organisations, one with two providers that share a domain."""
    domains = {
        "lab": (OWN, ["lab.example", "xn--brgeramt-65a.example"]),
        "club": (OTHER, ["club.example", "both.example"]),
        "guests": (OTHER, ["both.example"]),
    }
    for each in domains:
        publish(sign_ons.home, each)
    drafts = [
        sign_ons.draft(each, organisation=organisation, at=each, email_domains=names)
        for each, (organisation, names) in domains.items()
    ]
    return {each: sign_ons.activate(draft) for each, draft in zip(domains, drafts, strict=True)}


@pytest.fixture
def visitor(sign_ons: SignOns, providers: dict[str, pb.Provider]) -> Visitor:
    """A browser that was never here."""
    assert providers
    return sign_ons.visitor()


def typed(visitor: Visitor, address: str) -> httpx.Response:
    """The answer to an address on the page that asks where somebody works."""
    page = visitor.authorize()
    assert ASKED in page.text
    form = page.text.partition('name="form" value="')[2].partition('"')[0]
    return visitor.post("/oauth2/organisation", form=form, email=address)


def issuer_of(answer: httpx.Response) -> str:
    """The issuer at which a browser is sent to sign in."""
    assert answer.status_code == SEE_OTHER, answer.text
    location, _, _ = str(answer.headers["location"]).partition("/authorization?")
    return location


def test_an_address_leads_home(sign_ons: SignOns, visitor: Visitor) -> None:
    """The organisation's own provider learns who comes, and next time nobody is asked."""
    sent = typed(visitor, " Anna@Lab.Example ")
    location = sent.headers["location"]
    assert issuer_of(sent) == sign_ons.home.issuer("lab")
    assert query_of(location)["login_hint"] == "Anna@Lab.Example"
    assert "code" in visitor.get("/oauth2/callback", **sign_ons.at_home(location, at="lab")).headers["location"]
    visitor.cookies.pop("__Host-verbund-session")
    assert issuer_of(visitor.authorize()) == sign_ons.home.issuer("lab")


def test_an_address_of_a_domain_with_umlauts_leads_home(sign_ons: SignOns, visitor: Visitor) -> None:
    """As people write it."""
    assert issuer_of(typed(visitor, "anna@bürgeramt.example")) == sign_ons.home.issuer("lab")


@pytest.mark.parametrize(
    "address",
    ["anna@sub.lab.example", "anna@example", "anna@lab.example.com", "anna@evil-lab.example", "a@example.org"],
)
def test_an_unknown_domain_is_told_and_the_list_remains(visitor: Visitor, address: str) -> None:
    """It is exactly a domain that somebody has, or none; the person chooses, and sees what they typed."""
    page = typed(visitor, address)
    assert page.status_code == httpx.codes.OK
    assert ("sieht so aus" if address == "anna@example" else UNKNOWN) in page.text
    assert 'name="provider" value="organisations/citylab/providers/lab"' in page.text
    assert 'name="provider" value="organisations/verein/providers/club"' in page.text
    assert f'value="{address}"' in page.text


@pytest.mark.parametrize("text", ["", "anna", "<script>alert(1)</script>@", '"><b>@lab', "x" * 300 + "@lab.example"])
def test_what_is_no_address_is_asked_for_once_more(visitor: Visitor, text: str) -> None:
    """As it was typed, and as text."""
    page = typed(visitor, text)
    assert "Das ist keine E-Mail-Adresse" in page.text
    assert "<script>" not in page.text
    assert "<b>" not in page.text
    assert f'value="{escape(text)}"' in page.text


def test_an_organisation_with_several_providers_asks_which(sign_ons: SignOns, visitor: Visitor) -> None:
    """Only these are shown, each with its title."""
    page = typed(visitor, "anna@both.example")
    assert "mehrere Anmeldungen" in page.text
    assert page.text.count('name="provider"') == len(("club", "guests"))
    assert "Verein: Club" in page.text
    form = page.text.partition('name="form" value="')[2].partition('"')[0]
    sent = visitor.post("/oauth2/organisation", form=form, provider=f"{OTHER}/providers/guests")
    assert issuer_of(sent) == sign_ons.home.issuer("guests")


def signed_in_before(sign_ons: SignOns, visitor: Visitor) -> None:
    """Somebody signed in at the club with this browser, and their session is over."""
    location = typed(visitor, "anna@club.example").headers["location"]
    assert "code" in visitor.get("/oauth2/callback", **sign_ons.at_home(location, at="club")).headers["location"]
    visitor.cookies.pop("__Host-verbund-session")


def test_a_browser_remembers_where_somebody_signed_in(sign_ons: SignOns, visitor: Visitor) -> None:
    """And not where it was only sent: by a link that somebody else made, or by a choice that was the wrong one."""
    named = f"{OWN}/providers/lab"
    for hint in ("anna@lab.example", named):
        assert issuer_of(visitor.authorize(login_hint=hint)) == sign_ons.home.issuer("lab")
    assert issuer_of(typed(visitor, "anna@lab.example")) == sign_ons.home.issuer("lab")
    assert ASKED in visitor.authorize().text
    signed_in_before(sign_ons, visitor)
    assert issuer_of(visitor.authorize(login_hint=named)) == sign_ons.home.issuer("lab")
    assert issuer_of(visitor.authorize()) == sign_ons.home.issuer("club")


def test_a_client_may_name_the_address(sign_ons: SignOns, visitor: Visitor) -> None:
    """It decides before what the browser remembers, and goes to the organisation whose it is."""
    signed_in_before(sign_ons, visitor)
    sent = visitor.authorize(login_hint="anna@lab.example")
    assert issuer_of(sent) == sign_ons.home.issuer("lab")
    assert query_of(sent.headers["location"])["login_hint"] == "anna@lab.example"


@pytest.mark.parametrize("hint", ["anna@unknown.example", OTHER + "/providers/guests", "anna"])
def test_no_provider_learns_an_address_that_is_not_its_own(sign_ons: SignOns, visitor: Visitor, hint: str) -> None:
    """Neither the one that a browser remembers, nor the one that is chosen or named."""
    signed_in_before(sign_ons, visitor)
    sent = visitor.authorize(login_hint=hint)
    expected = "guests" if hint.endswith("guests") else "club"
    assert issuer_of(sent) == sign_ons.home.issuer(expected)
    assert "login_hint" not in query_of(sent.headers["location"])
    page = sign_ons.visitor().authorize(login_hint="anna@unknown.example")
    assert ASKED in page.text
    assert "unknown.example" not in page.text


def test_a_suspended_provider_is_led_to_by_nothing(sign_ons: SignOns, visitor: Visitor) -> None:
    """Its domain is unknown, as if it had never been."""
    publish(sign_ons.home, "gone")
    draft = sign_ons.draft("gone", organisation=OTHER, at="gone", email_domains=["gone.example"])
    sign_ons.suspend(sign_ons.activate(draft).name)
    assert UNKNOWN in typed(visitor, "anna@gone.example").text


def test_an_address_is_kept_nowhere(sign_ons: SignOns, providers: dict[str, pb.Provider]) -> None:
    """Neither in a row, nor in a log line, nor in a cookie; whether it leads somewhere, or not, or came by a client."""
    secret = "geheim-und-einmalig"
    assert providers
    visitors = [sign_ons.visitor() for _ in range(8)]
    with structlog.testing.capture_logs() as lines:
        for number, domain in enumerate(("lab.example", "both.example", "unknown.example", "")):
            typed(visitors[number], f"{secret}@{domain}")
            visitors[-number - 1].authorize(login_hint=f"{secret}@{domain}")
    assert lines
    assert secret not in str(lines)
    assert secret not in str([visitor.cookies for visitor in visitors])
    with psycopg.connect(sign_ons.mesh.dsn, user="postgres") as connection:
        tables = connection.execute("SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'identity'").fetchall()
        assert ("sign_ons",) in tables
        for (table,) in tables:
            rows = connection.execute(
                psycopg.sql.SQL("SELECT count(*) FROM identity.{0} AS row WHERE row::text LIKE %s").format(
                    psycopg.sql.Identifier(table)
                ),
                [f"%{secret}%"],
            ).fetchone()
            assert rows == (0,), table
