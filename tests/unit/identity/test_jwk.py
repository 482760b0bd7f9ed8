"""Public keys of systems: three kinds are taken, everything else is refused in words that quote nothing."""

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from verbund.identity.systems import jwk
from verbund.serving.refusals import Invalid

EC = ECKey.generate_key("P-256")
ED = OKPKey.generate_key("Ed25519")
RSA = RSAKey.generate_key(2048)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBER = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "k", "use", "key_ops", "alg"])
VALUE = JSON | st.sampled_from(["EC", "OKP", "RSA", "oct", "P-256", "Ed25519", "AQAB", "sig", "ES256"])


def members(key: Any, **changes: Any) -> str:
    """A public key's JSON with some members changed; one given as None is left out."""
    changed = key.as_dict(private=False) | changes
    return json.dumps({name: value for name, value in changed.items() if value is not None})


@pytest.mark.parametrize("key", [EC, ED, RSA], ids=["EC", "Ed25519", "RSA"])
def test_a_public_key_is_known_by_its_thumbprint(key: Any) -> None:
    """What else its owner wrote into the JSON is not kept."""
    parsed = jwk.parse(members(key, kid="mine", x5u="https://example.org", note="hello"))
    assert parsed.kid == key.thumbprint()
    assert json.loads(parsed.text) == key.as_dict(private=False) | {"kid": parsed.kid}


@pytest.mark.parametrize("key", [EC, ED, RSA], ids=["EC", "Ed25519", "RSA"])
def test_a_private_key_is_refused_without_being_quoted(key: Any) -> None:
    """The refusal goes to callers and logs: no part of the secret may be in it."""
    secret = key.as_dict(private=True)
    with pytest.raises(Invalid) as caught:
        jwk.parse(json.dumps(secret))
    told = repr(caught.value) + repr(caught.value.violations)
    assert "private" in told
    assert not any(str(secret[name]) in told for name in secret.keys() - {"kty", "crv"})


@pytest.mark.parametrize("name", sorted(jwk.PRIVATE_MEMBERS))
def test_each_private_member_makes_a_key_private(name: str) -> None:
    """Also one that does not belong to the kind of key."""
    with pytest.raises(Invalid, match="INPUT_INVALID"):
        jwk.parse(members(EC, **{name: "AQ"}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "null",
        "{}",
        "[" * 4000,
        json.dumps(OctKey.generate_key(256).as_dict(private=True)),
        members(ECKey.generate_key("P-384")),
        members(OKPKey.generate_key("X25519")),
        members(OKPKey.generate_key("Ed448")),
        members(EC, crv="P-384"),
        members(EC, x="AA"),
        members(EC, x=EC.as_dict(private=False)["y"]),
        members(EC, y=None),
        members(EC, x=f"{EC.as_dict(private=False)['x']}="),
        members(EC, x=" " + str(EC.as_dict(private=False)["x"])),
        members(EC, use="enc"),
        members(EC, key_ops=["sign"]),
        members(EC, key_ops="verify"),
        members(EC, alg="ES384"),
        members(EC, alg=["ES256"]),
        members(RSA, alg="RS256"),
        members(RSA, e="Aw"),
        members(RSA, n="A" * 342),
        members(RSA, n="AAAA" + str(RSA.as_dict(private=False)["n"])[:300]),
        members(RSA, n=base64.urlsafe_b64encode(b"\xff" * 1025).decode().rstrip("=")),
        members(EC) + " " * jwk.LENGTH_MAX,
    ],
    ids=itertools.count(),  # the keys are new each time, and every process that collects must find the same names
)
def test_what_is_no_key_of_these_kinds_is_refused(text: str) -> None:
    """Short, long, foreign, off the curve, for another purpose, or written in a second way."""
    with pytest.raises(Invalid) as caught:
        jwk.parse(text, path="jwk")
    assert [violation.path for violation in caught.value.violations] == ["jwk"]


def test_an_rsa_key_of_1024_bits_is_refused() -> None:
    """Even where its JSON is padded to the length of a longer one."""
    short = base64.urlsafe_b64encode(b"\0" * 128 + b"\xc1" * 128).decode().rstrip("=")
    with pytest.raises(Invalid):
        jwk.parse(members(RSA, n=short))


@settings(deadline=None, max_examples=400)
@given(st.text(max_size=200) | JSON.map(json.dumps) | st.dictionaries(MEMBER, VALUE, max_size=8).map(json.dumps))
def test_any_text_is_a_key_or_is_refused(text: str) -> None:
    """No text makes the parser raise anything else."""
    try:
        parsed = jwk.parse(text)
    except Invalid:
        return
    assert jwk.parse(parsed.text) == parsed
