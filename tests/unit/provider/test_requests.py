"""Where answers may go, and in which language pages are."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verbund.failure import ExitCode, Failure
from verbund.openid.pages import security_policy
from verbund.openid.requests import source_of
from verbund.provider import stage
from verbund.provider.requests import Client, ReturnAddress, is_loopback
from verbund.provider.settings import ProviderSettings
from verbund.provider.texts import ENGLISH, GERMAN, texts_for
from verbund.settings import SettingError, load

GOOD = [
    "http://127.0.0.1/",
    "http://127.0.0.1",
    "http://127.0.0.1:1/a/b;c=d,e",
    "https://127.0.0.1:65535/back?tab=2&x=/?",
    "http://[::1]:8080/back",
    "http://127.0.0.1/%C3%A4",
]


@pytest.mark.parametrize("uri", GOOD)
def test_this_machine_is_a_place_to_return_to_with_any_port(uri: str) -> None:
    """RFC 8252, section 7.3."""
    assert is_loopback(uri)


@given(st.text(max_size=40), st.sampled_from(["http://127.0.0.1", "https://[::1]", "http://", "//", ""]))
def test_what_is_taken_for_this_machine_is_this_machine(rest: str, start: str) -> None:
    """Whatever is appended: the host is an address of the loopback, and nothing ends the line of a header."""
    uri = start + rest
    if is_loopback(uri):
        parts = urlsplit(uri)
        assert parts.hostname in ("127.0.0.1", "::1")
        assert parts.username is None
        assert not parts.fragment
        assert uri.isascii()
        assert uri.isprintable()


def test_places_elsewhere_are_exact() -> None:
    """What the settings name is compared as it is; a place after signing out is none after signing in."""
    client = Client(frozenset({"https://mesh.example/oauth2/callback"}), frozenset({"https://mesh.example/"}))
    assert client.may_return_to("https://mesh.example/oauth2/callback")
    assert not client.may_return_to("https://mesh.example/oauth2/callback#")
    assert not client.may_return_to("https://MESH.example/oauth2/callback")
    assert not client.may_return_to("https://mesh.example/")
    assert client.may_leave_to("https://mesh.example/")
    assert not client.may_leave_to("https://mesh.example/oauth2/callback")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_state_survives_whatever_it_is(state: str) -> None:
    """The client gets back what it sent; RFC 9207's `iss` beside it."""
    url = ReturnAddress("http://127.0.0.1/back?x=1", state).url("https://issuer.example", {"code": "c"})
    sent = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    assert sent == {"x": "1", "code": "c", "iss": "https://issuer.example"} | ({"state": state} if state else {})


@pytest.mark.parametrize(
    ("ui_locales", "accepted", "expected"),
    [
        ("", "", GERMAN),
        ("", "en-US,en;q=0.9,de;q=0.8", ENGLISH),
        ("", "en;q=0.3, de;q=0.4", GERMAN),
        ("", "fr, en;q=0.1", ENGLISH),
        ("", "en;q=0, *", GERMAN),
        ("", "en;q=many", GERMAN),
        ("", "EN", ENGLISH),
        ("fr en de", "de", ENGLISH),
        ("de-AT", "en", GERMAN),
        ("xx", "en", ENGLISH),
    ],
)
def test_a_page_is_in_a_language_that_is_wished_for(ui_locales: str, accepted: str, expected: object) -> None:
    """What the application asks for comes first, then the browser's order; German where nothing fits."""
    assert texts_for(ui_locales, accepted) is expected


def test_both_languages_say_the_same_things() -> None:
    """Every refusal has a text in each, and what the page fills in stands in each."""
    assert GERMAN.refusals.keys() == ENGLISH.refusals.keys()
    for texts in (GERMAN, ENGLISH):
        assert "{organisation}" in texts.sign_in
        assert "{organisation}" in texts.sign_out
        assert "{seconds}" in texts.wait
        assert "{field}" in texts.check


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ("", "form-action 'self'"),
        ("http://127.0.0.1:5000/back?x=1", "form-action 'self' http://127.0.0.1:5000"),
        ("http://[::1]:5000/back", "form-action 'self' http:"),
    ],
)
def test_a_form_may_lead_to_the_client_and_nowhere_else(destination: str, expected: str) -> None:
    """Browsers hold the redirect after a form to form-action."""
    assert security_policy(source_of(destination)).endswith("; " + expected)


def test_only_a_trial_is_a_trial() -> None:
    """Everything else refuses: a mistake in writing must not let invented people in."""
    stage.check({})
    stage.check({stage.SETTING: "trial"})
    for other in ("production", "Trial", "", "test"):
        with pytest.raises(Failure) as refused:
            stage.check({stage.SETTING: other})
        assert refused.value.code is ExitCode.USAGE


@pytest.mark.parametrize(("name", "value"), [("PORT", "70000"), ("TOKEN_SECONDS", "0"), ("CODE_SECONDS", "-1")])
def test_settings_that_cannot_be_are_refused_by_name(name: str, value: str) -> None:
    """The start ends with the name of what is wrong."""
    paths = dict.fromkeys(("VERBUND_PROVIDER_DIRECTORY", "VERBUND_PROVIDER_CERTIFICATE_FILE"), "/x")
    given_settings = paths | {"VERBUND_PROVIDER_KEY_FILE": "/x", f"VERBUND_PROVIDER_{name}": value}
    with pytest.raises(SettingError, match=name):
        load(ProviderSettings, given_settings, prefix="VERBUND_PROVIDER_")
