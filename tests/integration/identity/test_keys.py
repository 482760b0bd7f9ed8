"""Signing keys and publication, over a real database: no valid token meets a file that does not know its key."""

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from verbund.database.database import Database
from verbund.identity.bootstrap import bootstrap
from verbund.identity.keys.domain import MARGIN, Schedule
from verbund.identity.keys.publication import Publisher
from verbund.identity.keys.rotation import Rotation
from verbund.identity.keys.sealing import Seal, create_key_encryption_file
from verbund.identity.keys.store import KeyStore
from verbund.identity.tokens.domain import AccessToken, Terms
from verbund.identity.tokens.signing import Signer
from verbund.identity.tokens.store import TokenStore
from verbund.resources.names import OrganisationName, SystemName
from verbund.serving.call import Call
from verbund.serving.refusals import Unauthenticated
from verbund.serving.tokens import TokenVerifier

from tests.integration.identity.mesh import ISSUER, Mesh, System, public, running

OPERATOR = System("organisations/senatskanzlei/systems/operator")
LIFE = timedelta(minutes=5)
SCHEDULE = Schedule(publish=timedelta(minutes=10), rotate=timedelta(days=30), token_life=LIFE)


class TurnedClock:
    """A clock that stands until it is turned."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()


@dataclass
class Keys:
    """Everything that turns, publishes and signs, by one clock."""

    clock: TurnedClock
    database: Database
    service: Database
    rotation: Rotation
    publisher: Publisher
    signer: Signer
    directory: Path

    def issue(self) -> str:
        """A token signed with the key whose turn it is."""
        organisation = OrganisationName(OPERATOR.organisation)
        with self.service.read(Call.internal("test", organisation=organisation)) as rows:
            client = TokenStore().client(rows, SystemName(OPERATOR.name), organisation)
        terms, now = Terms(ISSUER, "verbund", 300), self.clock.now.timestamp()
        return self.signer.sign(AccessToken.of_system(client, terms, token_id="id", now=now))

    def verifier(self, directory: Path) -> TokenVerifier:
        """A service that starts now, and so reads the files as they are."""
        return TokenVerifier(
            issuer=ISSUER,
            audience="verbund",
            jwks_file=directory / "jwks.json",
            revocations_file=directory / "revocations.json",
            clock=self.clock.seconds,
        )


@pytest.fixture
def keys(database_dsn: str, tmp_path: Path) -> Iterator[Keys]:
    """A mesh's keys before the first was made."""
    clock = TurnedClock()
    database = Database(database_dsn, role="identity_jobs", schema="identity", pool_size=4)
    service = Database(database_dsn, role="identity_service", schema="identity", pool_size=4)
    bootstrap(database, organisation="senatskanzlei", title="S", system="operator", public_key=public(OPERATOR.key))
    create_key_encryption_file(tmp_path / "key-encryption.json")
    seal = Seal.read(tmp_path / "key-encryption.json")
    yield Keys(
        clock=clock,
        database=database,
        service=service,
        rotation=Rotation(database=database, keys=KeyStore(), seal=seal, schedule=SCHEDULE, clock=clock),
        publisher=Publisher(database=database, keys=KeyStore(), directory=tmp_path, token_life=LIFE, clock=clock),
        signer=Signer(database=service, keys=KeyStore(), seal=seal),
        directory=tmp_path,
    )
    database.close()
    service.close()


def test_tokens_are_good_all_their_life_through_twenty_rotations(keys: Keys, tmp_path: Path) -> None:
    """Signed before, during or after a rotation; and whoever read the key set ten minutes ago can still verify them."""
    living: list[tuple[datetime, str]] = []
    held: list[tuple[datetime, TokenVerifier]] = []
    signed_by: set[str] = set()
    for step in range(1000):
        keys.clock.now += timedelta(seconds=97)
        keys.rotation.run()
        keys.publisher.publish()
        keys.rotation.run()
        keys.publisher.publish()
        token = keys.issue()
        signed_by.add(keys_of(token))
        living = [(until, each) for until, each in living if until > keys.clock.now] + [(keys.clock.now + LIFE, token)]
        for _, each in living:
            keys.verifier(keys.directory).verify(each)
        copy = shutil.copytree(keys.directory, tmp_path / f"held-{step}", ignore=shutil.ignore_patterns("held-*"))
        read_before = [(at, each) for at, each in held if at <= keys.clock.now - SCHEDULE.publish]
        held = [*read_before[-1:], *held[len(read_before) :], (keys.clock.now, keys.verifier(copy))]
        held[0][1].verify(token)
        if len(signed_by) == 21:
            break
        keys.rotation.begin()
    assert len(signed_by) == 21
    keys.clock.now += LIFE + MARGIN
    keys.rotation.run()
    keys.publisher.publish()
    assert len(json.loads((keys.directory / "jwks.json").read_bytes())["keys"]) == 1


def keys_of(token: str) -> str:
    """The id of the key that signed a token."""
    header = token.partition(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"])


def test_a_key_signs_only_after_it_was_published_long_enough(keys: Keys) -> None:
    """Ten minutes from the publication: while publishing fails, the old key goes on."""
    keys.rotation.run()
    keys.publisher.publish()
    keys.rotation.run()
    first = keys_of(keys.issue())
    keys.rotation.begin()
    keys.clock.now += timedelta(hours=1)
    assert not keys.rotation.run()
    assert keys_of(keys.issue()) == first
    keys.publisher.publish()
    keys.clock.now += timedelta(seconds=599)
    assert not keys.rotation.run()
    keys.clock.now += timedelta(seconds=1)
    assert keys.rotation.run()
    assert keys_of(keys.issue()) != first


def test_many_workers_turn_a_key_once(keys: Keys) -> None:
    """Eight that try at the same time make one key, and one begins to sign."""
    for _ in range(4):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: keys.rotation.run(), range(8)))
        keys.publisher.publish()
    with keys.database.read(Call.internal("test")) as rows:
        assert [key.state for key in KeyStore().all(rows)] == ["signing"]


def test_a_missing_or_damaged_file_is_published_again(keys: Keys) -> None:
    """Also when the database has not changed."""
    keys.rotation.run()
    keys.publisher.publish()
    for name in ("jwks.json", "revocations.json"):
        path = keys.directory / name
        good = json.loads(path.read_bytes())
        for content in (None, '{"ke'):
            path.unlink()
            if content is not None:
                path.write_text(content)
            keys.publisher.publish()
            assert json.loads(path.read_bytes()).keys() == good.keys()


def test_what_expired_is_published_no_more(keys: Keys, database_dsn: str) -> None:
    """The file stays as short as what can still matter."""
    now = keys.clock.now
    with psycopg.connect(database_dsn, user="postgres") as connection:
        connection.execute(
            "UPDATE identity.organisations SET state = 'suspended', suspend_time = %s", (now - timedelta(seconds=1),)
        )
        connection.execute(
            "INSERT INTO identity.revoked_tokens VALUES ('a', 'organisations/senatskanzlei', %s)", (now + LIFE,)
        )
    keys.publisher.publish()
    entries = json.loads((keys.directory / "revocations.json").read_bytes())["entries"]
    assert [(entry["kind"], entry["value"]) for entry in entries] == [("jti", "a"), ("org", OPERATOR.organisation)]
    keys.clock.now += LIFE + MARGIN
    keys.publisher.publish()
    assert json.loads((keys.directory / "revocations.json").read_bytes())["entries"] == []


PUBLISH = """
import sys, time
from datetime import timedelta
from pathlib import Path
from typing import Any
from verbund.database.database import Database
from verbund.clock import wall_clock
from verbund.identity.keys.publication import Publisher
from verbund.identity.keys.store import KeyStore

database = Database(sys.argv[1], role="identity_jobs", schema="identity", pool_size=1)
publisher = Publisher(
    database=database, keys=KeyStore(), directory=Path(sys.argv[2]), token_life=timedelta(minutes=5), clock=wall_clock
)
while True:
    publisher.publish()
"""


@contextmanager
def publishing(dsn: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that publishes all the time, killed at the end."""
    process = subprocess.Popen([sys.executable, "-c", PUBLISH, dsn, str(directory)])
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_two_publishers_lose_nothing_also_when_killed(keys: Keys, database_dsn: str) -> None:
    """While two processes publish and one is killed again and again, the file is whole at any moment and every
    revocation that was in it stays in it.
    """
    path, stop, seen = keys.directory / "revocations.json", threading.Event(), list[tuple[int, frozenset[str]]]()
    keys.publisher.publish()

    def watch() -> None:
        while not stop.is_set():
            content = json.loads(path.read_bytes())
            json.loads((keys.directory / "jwks.json").read_bytes())
            seen.append((content["version"], frozenset(entry["value"] for entry in content["entries"])))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    revoked: set[str] = set()
    with (
        publishing(database_dsn, keys.directory),
        psycopg.connect(database_dsn, user="postgres", autocommit=True) as admin,
    ):
        for _ in range(4):
            with publishing(database_dsn, keys.directory):
                for _ in range(60):
                    name = f"token-{len(revoked)}"
                    admin.execute(
                        "INSERT INTO identity.revoked_tokens VALUES (%s, 'organisations/x', now() + interval '1 hour')",
                        (name,),
                    )
                    revoked.add(name)
                    time.sleep(0.02)
        end = time.monotonic() + 60
        while not seen or seen[-1][1] != revoked:
            assert time.monotonic() < end, "a revocation is not published"
            time.sleep(0.01)
    stop.set()
    watcher.join()
    for (version, entries), (next_version, next_entries) in itertools.pairwise(seen):
        assert entries <= next_entries, "a stale writer overwrote a newer file"
        assert version < next_version or entries == next_entries


def test_a_writer_that_stopped_in_the_middle_does_not_publish_what_is_old(keys: Keys, database_dsn: str) -> None:
    """A process that is stopped while it has its turn holds others up, and killed it gives its turn back."""
    keys.publisher.publish()
    with (
        publishing(database_dsn, keys.directory) as process,
        psycopg.connect(database_dsn, user="postgres", autocommit=True) as admin,
    ):
        end = time.monotonic() + 60
        while keys.publisher.publish():  # until the other has its turn
            assert time.monotonic() < end
        os.kill(process.pid, signal.SIGSTOP)
        admin.execute(
            "INSERT INTO identity.revoked_tokens VALUES ('late', 'organisations/x', now() + interval '1 hour')"
        )
        stopped_in_its_turn = not keys.publisher.publish()
        process.kill()
        process.wait()
        assert keys.publisher.publish() or stopped_in_its_turn
        keys.publisher.publish()
    entries = json.loads((keys.directory / "revocations.json").read_bytes())["entries"]
    assert [entry["value"] for entry in entries] == ["late"]


def test_two_workers_issue_and_rotate_under_load(database_dsn: str) -> None:
    """Every token that either worker issues while keys are turned is accepted at once and until the end."""
    settings: dict[str, Any] = {
        "VERBUND_IDENTITY_KEY_PUBLISH_SECONDS": "0.6",
        "VERBUND_IDENTITY_TOKENS_PER_MINUTE_MAX": "100000",
    }
    with running(database_dsn, workers=2, **settings) as mesh:
        stop, issued = threading.Event(), list[str]()

        def issue(worker: int) -> None:
            with mesh.client(worker) as client:
                while not stop.is_set():
                    token = client.post("/oauth2/token", data=mesh.operator.form()).json()["access_token"]
                    mesh.verifier.verify(token)
                    issued.append(token)

        with ThreadPoolExecutor(2) as pool:
            loads = [pool.submit(issue, worker) for worker in range(2)]
            try:
                while not issued:
                    time.sleep(0.05)
                for _ in range(4):
                    rotate(mesh, issued)
            finally:
                stop.set()
            for load in loads:
                load.result()
        assert len(known(issued)) == 5
        for token in issued[:: max(1, len(issued) // 200)]:
            mesh.verifier.verify(token)
        with pytest.raises(Unauthenticated):
            mesh.verifier.verify(issued[0][:-8] + "AAAAAAAA")


def rotate(mesh: Mesh, issued: list[str]) -> None:
    """Begins a rotation and returns when the new key signs."""
    database = mesh.jobs()
    seal = Seal.read(Path(mesh.environment["VERBUND_IDENTITY_KEY_ENCRYPTION_FILE"]))
    assert Rotation(
        database=database, keys=KeyStore(), seal=seal, schedule=SCHEDULE, clock=lambda: datetime.now(UTC)
    ).begin()
    database.close()
    before, end = known(issued), time.monotonic() + 60
    while known(issued) <= before:
        assert time.monotonic() < end, "the new key does not sign"
        time.sleep(0.05)


def known(issued: list[str]) -> set[str]:
    """The keys that have signed."""
    return {keys_of(token) for token in issued}
