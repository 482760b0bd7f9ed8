"""The pages of the sign-on and of the built-in provider show what strangers wrote as text."""

import pytest
from verbund.identity.signon import pages
from verbund.identity.signon.domain import Choice, Party, Unanswerable
from verbund.identity.signon.outcomes import Choose, Consent
from verbund.identity.signon.requests import SignOnRequest
from verbund.identity.signon.texts import TEXTS
from verbund.provider import pages as provider_pages
from verbund.provider.authorization import WAIT, Ask
from verbund.provider.requests import AuthenticationRequest, ReturnAddress
from verbund.provider.sample import Organisation
from verbund.provider.texts import TEXTS as PROVIDER_TEXTS
from verbund.resources.names import OrganisationName, ProviderName

from tests.support.markup import SCRIPT, Read

LANGUAGES = ("de", "en")
REQUEST = SignOnRequest(
    client=SCRIPT,
    redirect_uri=SCRIPT,
    state=SCRIPT,
    nonce=SCRIPT,
    challenge=SCRIPT,
    scope=("openid", "profile"),
    ui_locales=SCRIPT,
)


def choice(provider: str) -> Choice:
    """An organisation whose administrator tries it."""
    name = f"{SCRIPT}/providers/{provider}"
    return Choice(
        provider=ProviderName(name),
        organisation=OrganisationName(SCRIPT),
        title=SCRIPT,
        provider_title=SCRIPT,
        issuer=SCRIPT,
        audience=SCRIPT,
    )


def sign_on_pages(language: str) -> dict[str, str]:
    """Each page, with a script wherever somebody else's words stand."""
    texts = TEXTS[language]
    asked = Choose(REQUEST, SCRIPT, [choice("one"), choice("two")])
    party = Party(
        client=SCRIPT,
        title=SCRIPT,
        redirect_uris=frozenset(),
        post_logout_redirect_uris=frozenset(),
        organisation_title=SCRIPT,
    )
    signed_out = [(name, SCRIPT) for name in ("post_logout_redirect_uri", "client_id", "state", "ui_locales")]
    return {
        "choice": pages.choose(texts, asked, action="/oauth2/organisation", search=SCRIPT, email=SCRIPT),
        "consent": pages.consent(texts, Consent(REQUEST, SCRIPT, party), action="/oauth2/consent"),
        "sign-out": pages.sign_out(texts, signed_out, action="/oauth2/logout"),
        "refusal": pages.refusal(texts, Unanswerable("home_down", who=SCRIPT, retry_seconds=5), SCRIPT, about=SCRIPT),
    }


def provider_pages_of(language: str) -> dict[str, str]:
    """The same of the built-in provider."""
    texts = PROVIDER_TEXTS[language]
    organisation = Organisation(SCRIPT, SCRIPT, dict.fromkeys(LANGUAGES, SCRIPT), ())
    stated = {"state": SCRIPT, SCRIPT: SCRIPT}
    request = AuthenticationRequest(
        address=ReturnAddress(SCRIPT, SCRIPT),
        challenge=SCRIPT,
        nonce=SCRIPT,
        scope=("openid",),
        prompt="",
        max_age_seconds=None,
        login_hint=SCRIPT,
        ui_locales=SCRIPT,
        parameters=stated,
    )
    ask = Ask(request, SCRIPT, SCRIPT, WAIT, 5)
    return {
        "login": provider_pages.login(texts, organisation, ask, action="/login", authorize="/authorize"),
        "sign-out": provider_pages.sign_out(texts, organisation, form=SCRIPT, action="/leave"),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_others_wrote_is_text(language: str) -> None:
    """Titles, names, addresses, what was typed and what the request came with: shown, and never run."""
    for name, page in (sign_on_pages(language) | provider_pages_of(language)).items():
        read = Read(page)
        assert read.runs == [], name
        assert SCRIPT in read.text, name


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_the_choice_shows_is_shown(language: str) -> None:
    """The names of the organisations and of their providers, the search, the address."""
    read = Read(sign_on_pages(language)["choice"])
    assert read.text.count(SCRIPT) >= 2 * 2 + 2  # each choice with its provider's title; the two fields
    assert Read(sign_on_pages(language)["consent"]).text.count(SCRIPT) >= 3  # the client twice, its organisation
