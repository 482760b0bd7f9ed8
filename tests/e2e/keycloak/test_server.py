"""The mesh with a real Keycloak: people sign in there, the district's through a broker, and the tour runs on it."""

import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from joserfc import jws
from keycloak import KeycloakAdmin
from verbund.embedded.home import Home
from verbund.embedded.keycloak import realms, server
from verbund.embedded.keycloak.credentials import Secrets
from verbund.embedded.keycloak.settings import KeycloakSettings
from verbund.embedded.keycloak.setup import Setup
from verbund.provider import accounts, sample
from verbund.provider.sample import Organisation, Person
from verbund.tour.signing_in import SignInFailed, sign_in

from tests.support.home import Up
from tests.support.oidc.judges import console, signed_on_and_out
from tests.support.oidc.visitor import Visitor, browser

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("mesh"),
    pytest.mark.timeout(900),
    # python-keycloak hands the name of the CA file on to httpx, at its first request.
    pytest.mark.filterwarnings("ignore:.verify=.str.. is deprecated:DeprecationWarning"),
]
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
CHANCELLERY, DISTRICT = "senatskanzlei", "charlottenburg-wilmersdorf"


def person_of(running: Up, organisation: str, username: str = "projektleitung") -> dict[str, str]:
    """Somebody in ready.json."""
    found: dict[str, str] = next(
        person
        for person in running.ready()["people"]
        if (person["organisation"], person["username"]) == (f"organisations/{organisation}", username)
    )
    return found


def token_of(running: Up, organisation: str, username: str = "projektleitung") -> str:
    """An id token of theirs."""
    person = person_of(running, organisation, username)
    return sign_in(person["issuer"], ca=Path(running.ready()["ca"]), username=username, password=person["password"])


def claims(token: str) -> dict[str, Any]:
    """What a token says; `sign_in` has verified it."""
    return dict(json.loads(jws.extract_compact(token.encode()).payload))


def exchanged(running: Up, token: str) -> httpx.Response:
    """A token exchange, through the gateway."""
    ready = running.ready()
    form = {"grant_type": GRANT, "subject_token": token, "subject_token_type": ID_TOKEN}
    trust = ssl.create_default_context(cafile=ready["ca"])
    with httpx.Client(verify=trust, timeout=30) as client:
        return client.post(ready["token_endpoint"], data=form)


def in_step(admin: KeycloakAdmin, home: Home, running: Up, settings: KeycloakSettings, secrets: Secrets) -> list[str]:
    """What setting it up once more changes."""
    setup = Setup(admin)
    gateway = running.ready()["gateway"]
    known = {organisation.provider_id: organisation for organisation in sample.read()}
    for realm in realms.wanted(sample.read(), settings, gateway=gateway, secret=secrets.broker):
        organisation = known[realm.name.removesuffix(realms.UPSTREAM_SUFFIX)]
        written = accounts.file_of(home.provider, organisation).stat().st_mtime
        setup.bring(realm, accounts.ensure(home.provider, organisation), accounts_written=written)
    return setup.changes


def test_the_tour_runs_on_keycloak(tour: dict[str, dict[str, Any]], settings: KeycloakSettings) -> None:
    """Roles and assurance come from there, also through the broker; each organisation is its own issuer."""
    for name, organisation in (("sign-in", CHANCELLERY), ("sign-in-district", DISTRICT)):
        step = tour[name]
        assert step["issuer"] == settings.issuer(organisation)
        assert step["subject"].startswith(f"organisations/{organisation}/people/")
        assert (step["roles"], step["assurance"]) == (["approver", "caseworker"], "substantial")
    assert tour["timeline"]["timeline"][-1] == "accepted"


@pytest.mark.usefixtures("tour")
@pytest.mark.parametrize("organisation", [CHANCELLERY, DISTRICT])
def test_a_client_signs_a_person_on_refreshes_and_signs_them_out(organisation: str, running: Up) -> None:
    """One that others wrote, with every check that it has: its issuer is the mesh, wherever the person signs in."""
    person, ca = person_of(running, organisation), Path(running.ready()["ca"])
    with browser(ca) as client:
        provider = f"organisations/{organisation}/providers/"
        visitor = Visitor(client, provider=provider, username=person["username"], password=person["password"])
        told = signed_on_and_out("openid-client", console(running), ca, visitor)
    assert told["claims"]["sub"].startswith(f"organisations/{organisation}/people/")
    assert told["userinfo"]["name"] == person["name"]


def test_everybody_in_ready_json_can_sign_in(running: Up) -> None:
    """With what stands there: the id token says what the sample says of them, and how well they were identified."""
    wanted = {(each.name, person.username): person for each in sample.read() for person in each.people}
    people = running.ready()["people"]
    assert {(person["organisation"], person["username"]) for person in people} == set(wanted)
    for person in people:
        expected = wanted[person["organisation"], person["username"]]
        told = claims(token_of(running, person["organisation"].removeprefix("organisations/"), person["username"]))
        assert (told["iss"], told["aud"], told["azp"]) == (person["issuer"], "verbund", "verbund")
        assert (told["name"], told["email"]) == (expected.name, expected.email)
        assert (sorted(told["roles"]), told["acr"]) == (sorted(expected.roles), expected.acr)


def test_a_person_of_the_district_has_no_account_at_the_chancellery(running: Up) -> None:
    """Also where both have a user of the same name."""
    ready = running.ready()
    chancellery = next(each for each in ready["people"] if each["organisation"].endswith(CHANCELLERY))
    district = next(each for each in ready["people"] if each["organisation"].endswith(DISTRICT))
    with pytest.raises(SignInFailed):
        sign_in(
            chancellery["issuer"], ca=Path(ready["ca"]), username=district["username"], password=district["password"]
        )


@pytest.mark.usefixtures("tour")
def test_a_token_of_another_realm_is_refused(
    running: Up, admin: KeycloakAdmin, settings: KeycloakSettings, tmp_path: Path
) -> None:
    """The same server, the same client, the same keys' owner: but nobody trusts that issuer."""
    person = Person("gast", "Beispiel: Gast", "gast@example.org", ("Leitung",), "http://eidas.europa.eu/LoA/low")
    stranger = Organisation("fremd", "organisations/fremd", {"de": "Fremd", "en": "Stranger"}, [person])
    found = accounts.ensure(tmp_path, stranger)
    Setup(admin).bring(realms.own(stranger, running.ready()["gateway"]), found, accounts_written=0.0)
    password = found.by_username["gast"].password
    ca = Path(running.ready()["ca"])
    answer = exchanged(running, sign_in(settings.issuer("fremd"), ca=ca, username="gast", password=password))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert exchanged(running, token_of(running, CHANCELLERY)).status_code == httpx.codes.OK


@pytest.mark.usefixtures("tour")
def test_a_token_for_another_client_is_refused(running: Up, admin: KeycloakAdmin) -> None:
    """Of the trusted realm: but it was not given to the mesh."""
    admin.change_current_realm(CHANCELLERY)
    admin.create_client(realms.client("anderes", realms.LOOPBACK, {}))
    ready = running.ready()
    person = next(each for each in ready["people"] if each["organisation"].endswith(CHANCELLERY))
    token = sign_in(
        person["issuer"],
        ca=Path(ready["ca"]),
        username=person["username"],
        password=person["password"],
        client_id="anderes",
    )
    assert claims(token)["aud"] == "anderes"
    answer = exchanged(running, token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


@pytest.mark.usefixtures("tour")
def test_a_token_that_has_expired_is_refused(running: Up, admin: KeycloakAdmin) -> None:
    """As soon as Keycloak's own time for it is over."""
    admin.change_current_realm(CHANCELLERY)
    client = str(admin.get_client_id("verbund"))
    whole = admin.get_client(client)
    brief = whole | {"attributes": whole["attributes"] | {"access.token.lifespan": "2"}}
    admin.update_client(client, brief)
    try:
        token = token_of(running, CHANCELLERY)
    finally:
        admin.update_client(client, whole | {"attributes": whole["attributes"] | {"access.token.lifespan": ""}})
    time.sleep(max(0.0, claims(token)["exp"] - time.time()) + 0.1)
    answer = exchanged(running, token)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_setting_it_up_again_changes_nothing_but_what_differs(
    running: Up, admin: KeycloakAdmin, home: Home, settings: KeycloakSettings, secrets: Secrets
) -> None:
    """Somebody opens a door in the console: the next set-up closes it, and leaves the rest alone."""
    assert in_step(admin, home, running, settings, secrets) == []
    admin.change_current_realm(DISTRICT)
    client = str(admin.get_client_id("verbund"))
    admin.update_client(client, admin.get_client(client) | {"directAccessGrantsEnabled": True})
    assert in_step(admin, home, running, settings, secrets) == ["client verbund changed"]
    assert in_step(admin, home, running, settings, secrets) == []
    turned = replace(secrets, broker="another-secret-of-the-broker")
    changed = ["client verbund-broker changed", "upstream haus changed"]
    assert in_step(admin, home, running, settings, turned) == changed
    assert claims(token_of(running, DISTRICT))["aud"] == "verbund"
    assert in_step(admin, home, running, settings, secrets) == changed


def test_it_is_closed_to_others(running: Up, settings: KeycloakSettings) -> None:
    """Keycloak and PostgreSQL listen on loopback alone, on the ports that were given; no management port is open."""
    listening = {
        name: [each.laddr for each in psutil.Process(pid).net_connections("inet") if each.status == "LISTEN"]
        for name, pid in ((each["name"], each["pid"]) for each in running.ready()["processes"])
        if name in {"keycloak", "postgres"}
    }
    assert [address.port for address in listening["postgres"]] == [settings.database_port]
    assert settings.port in {address.port for address in listening["keycloak"]}
    assert 9000 not in {address.port for address in listening["keycloak"]}
    assert all(address.ip.endswith("127.0.0.1") for each in listening.values() for address in each)


def test_doctor_knows_both_ports(running: Up, ports_given: dict[str, str]) -> None:
    """Whose they are, as far as this machine's kernel says; and that everybody can sign in."""
    command = [sys.executable, "-m", "verbund", "doctor", "--json"]
    done = subprocess.run(command, env=running.environment(), capture_output=True, text=True, timeout=120, check=False)
    found = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0, done.stdout
    for check, setting in zip(("port-keycloak", "port-keycloak-db"), ports_given, strict=True):
        assert found[check]["says"].startswith(f"{ports_given[setting]} is this mesh's own")
    assert found["sign-in"]["state"] == "ok"


def test_it_cannot_see_the_mesh_s_data(settings: KeycloakSettings, secrets: Secrets) -> None:
    """Over loopback its role comes into its own database only, with its password, and nobody else comes in at all."""

    def enters(database: str, user: str, password: str) -> bool:
        given = {"host": "127.0.0.1", "port": settings.database_port, "connect_timeout": 5}
        try:
            psycopg.connect(dbname=database, user=user, password=password, **given).close()  # type: ignore[arg-type]
        except psycopg.OperationalError:
            return False
        return True

    assert enters("keycloak", "keycloak", secrets.database)
    assert not enters("keycloak", "keycloak", "wrong")
    assert not enters("verbund", "keycloak", secrets.database)
    assert not enters("keycloak", "postgres", secrets.database)
    assert not enters("verbund", "identity", "")


def test_secrets_are_kept_private(running: Up, home: Home, secrets: Secrets) -> None:
    """Neither logs nor arguments nor environments hold them, or a password of a person; the files are 0600."""
    kept = [home.path / "keycloak" / "secrets.json", home.path / "keycloak" / "conf" / "keycloak.conf"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o600}
    passwords = [person["password"] for person in running.ready()["people"]]
    hidden = [each.encode() for each in (secrets.administrator, secrets.database, secrets.broker, *passwords)]
    logs = b"".join(log.read_bytes() for log in home.log.glob("*.log"))
    started_with = b"".join(
        Path(f"/proc/{process['pid']}/{what}").read_bytes()
        for process in running.ready()["processes"]
        for what in ("cmdline", "environ")
    )
    assert not [each for each in hidden if each in logs + started_with]
    assert psutil.Process(keycloak_pid(running)).uids().real == home.path.stat().st_uid


def keycloak_pid(running: Up) -> int:
    """Keycloak's process at this moment, 0 while it has none."""
    return next((int(each["pid"]) for each in running.ready()["processes"] if each["name"] == "keycloak"), 0)


def test_people_outlive_keycloak(running: Up, home: Home, settings: KeycloakSettings) -> None:
    """Killed, it is started again, and everybody is who they were: it keeps nothing but in PostgreSQL."""
    before = {name: claims(token_of(running, name))["sub"] for name in (CHANCELLERY, DISTRICT)}
    old = keycloak_pid(running)
    os.kill(old, signal.SIGKILL)
    end = time.monotonic() + running.start_seconds_max
    while keycloak_pid(running) in (0, old) or not server.answers(home, settings):
        assert time.monotonic() < end, "Keycloak did not come back"
        time.sleep(0.1)
    assert {name: claims(token_of(running, name))["sub"] for name in before} == before
