"""The pages of the sign-on in German and English: whoever chose a language keeps it, and can change it on each page."""

import re
from html import unescape

import httpx
import pytest

from tests.integration.identity.signing_on import SignOns, Visitor, publish, query_of

LANGUAGES = {"de": "en", "en": "de"}
CANNOT = {"de": "Die Anmeldung ist nicht gelungen", "en": "You could not be signed in"}
LINK = re.compile(r'<nav aria-label="(?:Sprache|Language)"><a href="([^"]+)" lang="(\w+)" hreflang="\2">')


def language_of(page: httpx.Response) -> str:
    """The language that a page says to be in."""
    return page.text.partition('<html lang="')[2].partition('"')[0]


def other(visitor: Visitor, page: httpx.Response) -> httpx.Response:
    """Where the page's language link leads."""
    found = LINK.search(page.text)
    assert found is not None
    assert found[2] == LANGUAGES[language_of(page)]
    return visitor.get(unescape(found[1]))


def same_but_for_the_language(visitor: Visitor, page: httpx.Response, language: str) -> None:
    """The page is in this language; its link leads to the same refusal in the other one, and from there back again."""
    there = other(visitor, page)
    back = other(visitor, there)
    assert [language_of(each) for each in (page, there, back)] == [language, LANGUAGES[language], language]
    for each in (page, there, back):
        assert each.status_code == page.status_code
        assert each.headers.get("retry-after") == page.headers.get("retry-after")
        assert CANNOT[language_of(each)] in each.text
        assert "Cache-Control" in each.headers
    assert back.text == page.text


@pytest.fixture(scope="module")
def several(sign_ons: SignOns) -> None:
    """There is a choice, and one of it is away."""
    publish(sign_ons.home, "away")
    sign_ons.activate(sign_ons.draft("away", organisation="organisations/away", at="away"))
    sign_ons.home.serve("/away/.well-known/openid-configuration", {}, status=500)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_client_asked_wrongly_is_told_in_either_language(sign_ons: SignOns, language: str) -> None:
    """By the client's wish, and by the link."""
    visitor = sign_ons.visitor()
    for changed in ({"client_id": "unknown"}, {"redirect_uri": "https://evil.example/"}):
        page = visitor.authorize(ui_locales=language, **changed)
        same_but_for_the_language(visitor, page, language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_happens_at_home_is_told_in_the_language_of_the_request(
    sign_ons: SignOns, several: None, language: str
) -> None:
    """The provider's answer names none, and is good once: the link asks nobody again."""
    assert several is None
    visitor = sign_ons.visitor()
    sent = visitor.authorize(login_hint="organisations/citylab", ui_locales=language).headers["location"]
    asked = query_of(sent)
    assert asked["ui_locales"] == language
    denied = {"state": asked["state"], "error": "access_denied", "iss": sign_ons.home.issuer()}
    same_but_for_the_language(visitor, visitor.get("/oauth2/callback", **denied), language)
    sent = visitor.authorize(login_hint="organisations/citylab", ui_locales=language).headers["location"]
    mixed = sign_ons.at_home(sent) | {"iss": "https://e.example"}
    same_but_for_the_language(visitor, visitor.get("/oauth2/callback", **mixed), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_choice_that_cannot_be_is_told_in_the_language_of_its_page(
    sign_ons: SignOns, several: None, language: str
) -> None:
    """Of a provider that is away, and of a page that is too old."""
    assert several is None
    visitor = sign_ons.visitor()
    page = other(visitor, visitor.authorize(ui_locales=LANGUAGES[language]))
    assert language_of(page) == language
    form = page.text.partition('name="form" value="')[2].partition('"')[0]
    fields = {"provider": "organisations/away/providers/away", "ui_locales": language}
    away = visitor.post("/oauth2/organisation", form=form, **fields)
    assert "Away" in away.text
    same_but_for_the_language(visitor, away, language)
    old = visitor.post("/oauth2/organisation", form="x" * 43, **fields)
    same_but_for_the_language(visitor, old, language)


def test_the_sign_out_speaks_both_languages(sign_ons: SignOns) -> None:
    """The question, with what the client asked for, and the end."""
    visitor = sign_ons.visitor()
    sign_ons.back(visitor, login_hint="organisations/citylab")
    question = visitor.get("/oauth2/logout", client_id="console", state="s", ui_locales="de")
    there = other(visitor, question)
    assert "Do you want to sign out?" in there.text
    assert 'name="state" value="s"' in there.text
    assert language_of(other(visitor, there)) == "de"
    visitor.post("/oauth2/logout", confirmed="yes")
    end = visitor.get("/oauth2/signed-out", ui_locales="en")
    assert [language_of(end), language_of(other(visitor, end))] == ["en", "de"]


def test_nobody_else_has_our_page_say_something(sign_ons: SignOns) -> None:
    """A link that is none of ours is told to be unreadable."""
    for about in ("", "x", "W10="):
        answer = sign_ons.visitor().get("/oauth2/refused", about=about, ui_locales="en")
        assert answer.status_code == httpx.codes.BAD_REQUEST
        assert "The request cannot be read" in answer.text
