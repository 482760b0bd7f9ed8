"""Domains of e-mail addresses, as people type them and as providers state theirs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verbund.identity.signon.choices import ADDRESS_LENGTH_MAX, DOMAIN, domain_of


@pytest.mark.parametrize(
    ("typed", "domain"),
    [
        ("anna@amt.example", "amt.example"),
        ("  Anna.Muster@AMT.Example\t", "amt.example"),
        ("anna+x@sub.amt.example", "sub.amt.example"),
        ('"a@b"@amt.example', "amt.example"),
        ("anna@bürgeramt.example", "xn--brgeramt-65a.example"),
        ("anna@xn--brgeramt-65a.example", "xn--brgeramt-65a.example"),
    ],
)
def test_an_address_has_a_domain(typed: str, domain: str) -> None:
    """In lower case and in ASCII, whatever stands before it and around it."""
    assert domain_of(typed) == domain


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "anna",
        "@amt.example",
        "anna@",
        "anna@amt",
        "anna@amt..example",
        "anna@.amt.example",
        "anna@amt.example.",
        "anna@-amt.example",
        "anna@127.0.0.1",
        "anna@[::1]",
        "anna@amt.example/x",
        "anna@amt.example\nx",
        "anna@a mt.example",
        "anna@" + "a" * 64 + ".example",
        "a" * ADDRESS_LENGTH_MAX + "@amt.example",
        "anna@\ud800.example",
        "anna@*.example",
    ],
)
def test_a_text_that_is_no_address_has_none(typed: str) -> None:
    """It leads nowhere, and asks nobody."""
    assert domain_of(typed) == ""


@given(st.text(max_size=300))
def test_whatever_is_typed_is_a_domain_or_nothing(typed: str) -> None:
    """Nothing that somebody types breaks it, or comes through as something else."""
    found = domain_of("a@" + typed)
    assert not found or DOMAIN.fullmatch(found)
