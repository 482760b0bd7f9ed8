"""Client assertions (RFC 7523): one that is not wholly right proves nothing."""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from verbund.identity.systems import jwk
from verbund.identity.tokens import assertion as assertions
from verbund.identity.tokens.assertion import AssertionRefused, check, parse, prove

EC = ECKey.generate_key("P-256")
ED = OKPKey.generate_key("Ed25519")
RSA = RSAKey.generate_key(2048)
CLIENT = "organisations/citylab/systems/portal"
ISSUER = "https://mesh.example"
AUDIENCES = frozenset({ISSUER, f"{ISSUER}/oauth2/token"})
NOW = 1_800_000_000.0
CLAIMS = {"iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "jti": "once", "exp": NOW + 60}


def known(*keys: Any) -> dict[str, str]:
    """Keys as the store has them."""
    parsed = [jwk.parse(json.dumps(key.as_dict(private=False))) for key in keys]
    return {key.kid: key.text for key in parsed}


def signed(key: Any, header: Mapping[str, Any], claims: Any = None) -> str:
    """An assertion with any header and payload, signed as its `alg` says."""
    segments = [
        encoded(json.dumps(header).encode()),
        encoded(json.dumps(CLAIMS if claims is None else claims).encode()),
    ]
    text = ".".join(segments)
    algorithm = JWSRegistry.algorithms[{"EdDSA": "Ed25519"}.get(header["alg"], header["alg"])]
    return f"{text}.{encoded(algorithm.sign(text.encode(), key))}"


def encoded(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def accept(text: str, keys: Mapping[str, str]) -> None:
    """All three steps that the endpoint takes; raises AssertionRefused."""
    assertion = parse(text)
    prove(assertion, keys)
    check(assertion, audiences=AUDIENCES, now=NOW)


@pytest.mark.parametrize(("key", "alg"), [(EC, "ES256"), (ED, "EdDSA"), (ED, "Ed25519"), (RSA, "PS256")])
def test_each_kind_of_key_proves_with_its_algorithm(key: Any, alg: str) -> None:
    """With the key's thumbprint as kid, and without one."""
    accept(signed(key, {"alg": alg, "kid": key.thumbprint(), "typ": "JWT"}), known(EC, ED, RSA))
    accept(signed(key, {"alg": alg}), known(EC, ED, RSA))


@pytest.mark.parametrize(
    ("key", "header"),
    [
        (RSA, {"alg": "RS256"}),
        (RSA, {"alg": "PS384"}),
        (OctKey.import_key(json.dumps(EC.as_dict(private=False), sort_keys=True)[:64]), {"alg": "HS256"}),
        (EC, {"alg": "ES256", "kid": "another"}),
        (EC, {"alg": "ES256", "kid": ED.thumbprint()}),
        (EC, {"alg": "ES256", "kid": 1}),
        (EC, {"alg": "ES256", "typ": "at+jwt"}),
        (EC, {"alg": "ES256", "typ": 1}),
        (EC, {"alg": "ES256", "crit": ["exp"], "exp": 1}),
        (EC, {"alg": "ES256", "b64": True}),
        (ECKey.generate_key("P-256"), {"alg": "ES256"}),
        (ECKey.generate_key("P-256"), {"alg": "ES256", "kid": EC.thumbprint()}),
        (OKPKey.generate_key("Ed25519"), {"alg": "EdDSA"}),
        (RSAKey.generate_key(2048), {"alg": "PS256"}),
    ],
)
def test_another_key_or_algorithm_proves_nothing(key: Any, header: dict[str, Any]) -> None:
    """Neither by a weaker algorithm, nor by a key that the client does not have, nor by a header that asks for more."""
    with pytest.raises(AssertionRefused):
        accept(signed(key, header), known(EC, ED, RSA))


def test_an_embedded_key_is_not_looked_at() -> None:
    """A `jwk` in the header is the sender's own word."""
    own = ECKey.generate_key("P-256")
    with pytest.raises(AssertionRefused):
        accept(signed(own, {"alg": "ES256", "jwk": own.as_dict(private=False)}), known(EC))


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", ""])
def test_an_unsigned_assertion_proves_nothing(alg: str) -> None:
    """However `none` is written."""
    text = f"{encoded(json.dumps({'alg': alg}).encode())}.{encoded(json.dumps(CLAIMS).encode())}."
    with pytest.raises(AssertionRefused):
        accept(text, known(EC))


def test_an_unknown_client_takes_the_path_of_a_wrong_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    """One verification each, so that the time tells nothing."""
    counted: list[str] = []
    holds = assertions.holds

    def counting(assertion: assertions.Assertion, text: str) -> bool:
        counted.append(text)
        return holds(assertion, text)

    monkeypatch.setattr(assertions, "holds", counting)
    for key, alg in ((EC, "ES256"), (ED, "Ed25519"), (RSA, "PS256")):
        other = type(key).generate_key() if key is not RSA else RSAKey.generate_key(2048)
        for keys in ({}, known(other)):
            counted.clear()
            with pytest.raises(AssertionRefused):
                prove(parse(signed(key, {"alg": alg})), keys)
            assert len(counted) == 1


@pytest.mark.parametrize("kind", ["EC", "OKP", "RSA"])
def test_the_stand_ins_prove_nothing(kind: str) -> None:
    """Their private halves can be known: what they verify is refused all the same."""
    one = ECKey.import_key(json.loads(assertions.STAND_INS["EC"]) | {"d": encoded((1).to_bytes(32, "big"))})
    key, alg = {"EC": (one, "ES256"), "OKP": (ED, "Ed25519"), "RSA": (RSA, "PS256")}[kind]
    with pytest.raises(AssertionRefused):
        prove(parse(signed(key, {"alg": alg})), {})


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "organisations/citylab/systems/other"},
        {"iss": None},
        {"aud": "https://other.example"},
        {"aud": []},
        {"aud": None},
        {"aud": [ISSUER, "https://other.example"]},
        {"aud": [ISSUER, 1]},
        {"aud": f"{ISSUER}/"},
        {"exp": None},
        {"exp": NOW - 11},
        {"exp": NOW + 311},
        {"exp": str(NOW + 60)},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": 10**400},
        {"nbf": NOW + 11},
        {"nbf": "now"},
        {"iat": NOW + 11},
        {"iat": []},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 257},
        {"jti": 1},
    ],
)
def test_a_claim_that_is_wrong_refuses(changes: dict[str, Any]) -> None:
    """RFC 7523, section 3, and the mesh's own bounds."""
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    with pytest.raises(AssertionRefused):
        accept(signed(EC, {"alg": "ES256"}, claims), known(EC))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": f"{ISSUER}/oauth2/token"},
        {"aud": [ISSUER, f"{ISSUER}/oauth2/token"]},
        {"exp": NOW - 9},
        {"exp": NOW + 309},
        {"exp": int(NOW) + 60, "iat": int(NOW), "nbf": int(NOW)},
        {"iat": NOW + 9},
        {"jti": "x" * 256},
        {"other": "claims are not looked at"},
    ],
)
def test_a_claim_within_the_bounds_is_taken(changes: dict[str, Any]) -> None:
    """Clocks may differ by ten seconds."""
    accept(signed(EC, {"alg": "ES256"}, CLAIMS | changes), known(EC))


@pytest.mark.parametrize(
    "sub",
    ["", "portal", "organisations/citylab", "organisations/x/systems/y\n", "organisations/x/systems/\0", 1, None, []],
)
def test_a_subject_that_is_no_systems_name_is_refused(sub: Any) -> None:
    """It never reaches the database."""
    with pytest.raises(AssertionRefused):
        parse(signed(EC, {"alg": "ES256"}, CLAIMS | {"sub": sub}))


def test_a_changed_character_breaks_the_proof() -> None:
    """In header, payload or signature."""
    text = signed(EC, {"alg": "ES256"})
    for position in (3, len(text) // 2, len(text) - 20):
        changed = "A" if text[position] != "A" else "B"
        with pytest.raises(AssertionRefused):
            accept(text[:position] + changed + text[position + 1 :], known(EC))


SEGMENT = st.binary(max_size=60).map(encoded) | st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "sub", "iss", "exp", "jti", "crit", "b64"]),
    st.none() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=3) | st.just("ES256"),
    max_size=6,
).map(lambda members: encoded(json.dumps(members).encode()))


@settings(deadline=None, max_examples=400)
@given(st.text(max_size=300) | st.lists(SEGMENT, min_size=1, max_size=5).map(".".join))
@example(f"{encoded(json.dumps({'alg': []}).encode())}.{encoded(b'{}')}.")
def test_any_text_is_refused_or_proves_nothing(text: str) -> None:
    """No text makes the parser raise anything else, and none that was not signed is taken."""
    with pytest.raises(AssertionRefused):
        accept(text, known(EC))


def test_a_deep_payload_is_refused() -> None:
    """It is bounded before it is read."""
    for payload in ("[" * 5000, '{"sub":' * 900):
        header = encoded(json.dumps({"alg": "ES256"}).encode())
        text = f"{header}.{encoded(payload.encode())}.AA"
        with pytest.raises(AssertionRefused):
            parse(text)


def test_the_clock_of_these_tests_is_not_the_walls() -> None:
    """Whoever forgets to hand the time on would notice."""
    assert abs(time.time() - NOW) > assertions.LIFE_SECONDS_MAX
    assert jws.extract_compact(signed(EC, {"alg": "ES256"}).encode()).headers() == {"alg": "ES256"}
