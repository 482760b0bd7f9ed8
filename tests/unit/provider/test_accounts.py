"""What a provider keeps of its people."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from verbund.failure import Failure
from verbund.provider import accounts, sample
from verbund.provider.sample import Organisation

(CHANCELLERY, DISTRICT) = sample.read()


def test_everybody_of_the_sample_is_invented_and_says_so() -> None:
    """Names say "Beispiel", addresses are of example.org (RFC 2606), and user names differ within an organisation."""
    for organisation in sample.read():
        assert organisation.people
        assert {"de", "en"} <= organisation.title.keys()
        assert organisation.name == f"organisations/{organisation.provider_id}"
        usernames = [person.username for person in organisation.people]
        assert len(set(usernames)) == len(usernames)
        for person in organisation.people:
            assert person.name.startswith("Beispiel: ")
            assert person.email.endswith(f"@{organisation.provider_id}.example.org")
            assert person.roles


def test_a_password_proves_one_account_of_one_organisation(tmp_path: Path) -> None:
    """Not another person's, not the other organisation's, not nothing; blanks around a copied one do not matter."""
    here, there = accounts.ensure(tmp_path, CHANCELLERY), accounts.ensure(tmp_path, DISTRICT)
    first, second = here.by_username.values()
    assert here.proven(first.person.username, first.password) is first
    assert here.proven(first.person.username, f" {first.password}\n") is first
    assert here.proven(first.person.username, second.password) is None
    assert here.proven(first.person.username, first.password.upper()) is None
    assert here.proven(first.person.username, "") is None
    assert here.proven("nobody", first.password) is None
    assert there.proven(first.person.username, first.password) is None


def test_passwords_are_long_random_and_typable(tmp_path: Path) -> None:
    """Four groups of five letters and digits: 100 bits."""
    passwords = {account.password for account in accounts.ensure(tmp_path, CHANCELLERY).by_username.values()}
    assert len(passwords) == len(CHANCELLERY.people)
    for password in passwords:
        assert [len(group) for group in password.split("-")] == [5, 5, 5, 5]
        assert password.replace("-", "").isalnum()


def test_who_joins_later_gets_an_account_and_the_others_keep_theirs(tmp_path: Path) -> None:
    """A sample that has grown changes nobody's password or identifier."""
    fewer = replace(CHANCELLERY, people=CHANCELLERY.people[:1])
    before = accounts.ensure(tmp_path, fewer)
    after = accounts.ensure(tmp_path, CHANCELLERY)
    known = CHANCELLERY.people[0].username
    assert after.by_username[known] == before.by_username[known]
    assert len(after.by_username) == len(CHANCELLERY.people)
    assert after.key.kid == before.key.kid


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"key": {}, "people": {}}', '{"key": {"kty": "EC"}, "people": []}']
)
def test_a_broken_file_ends_the_start_with_its_name(tmp_path: Path, content: str) -> None:
    """Who can mend it and how stands there; nothing is overwritten."""
    file = accounts.file_of(tmp_path, CHANCELLERY)
    file.write_text(content)
    with pytest.raises(Failure, match=str(file)) as failed:
        accounts.ensure(tmp_path, CHANCELLERY)
    assert "restore it" in failed.value.remedy
    assert file.read_text() == content


def test_a_public_key_is_no_signing_key(tmp_path: Path) -> None:
    """The start says so, and not the first sign-in."""
    accounts.ensure(tmp_path, CHANCELLERY)
    file = accounts.file_of(tmp_path, CHANCELLERY)
    kept = json.loads(file.read_text())
    del kept["key"]["d"]
    file.write_text(json.dumps(kept))
    with pytest.raises(Failure, match="is broken"):
        accounts.ensure(tmp_path, CHANCELLERY)


def test_ready_tells_who_can_sign_in_and_where(tmp_path: Path) -> None:
    """Name, organisation, address, issuer, user name and password, for everybody of the sample."""
    told = accounts.people(tmp_path, sample.read(), partial(accounts.issuer_url, 8444))
    assert {person["issuer"] for person in told} == {
        "https://127.0.0.1:8444/senatskanzlei",
        "https://127.0.0.1:8444/charlottenburg-wilmersdorf",
    }
    assert len(told) == sum(len(organisation.people) for organisation in sample.read())
    for person in told:
        assert person.keys() == {"name", "organisation", "email", "issuer", "username", "password"}
        found = accounts.ensure(tmp_path, organisation_of(person["organisation"]))
        assert found.proven(person["username"], person["password"])


def organisation_of(name: str) -> Organisation:
    """The organisation of the sample with a name."""
    return next(organisation for organisation in sample.read() if organisation.name == name)
