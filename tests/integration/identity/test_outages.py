"""What the token endpoint does while a part is away: it says so, and comes back by itself."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from joserfc.jwk import OctKey
from psycopg import sql
from verbund.database.migrate import migrate

from tests.integration.identity.mesh import Mesh, running
from tests.support.postgres import Cluster, cluster

READY_SECONDS_MAX = 60


@pytest.fixture
def own_postgres() -> Iterator[Cluster]:
    """A cluster that the test may stop."""
    with cluster() as found:
        found.administer(sql.SQL("CREATE DATABASE {}"), "verbund")
        migrate(found.dsn("verbund"))
        yield found


def test_without_its_database_it_asks_to_come_back_later(own_postgres: Cluster) -> None:
    """503 with Retry-After; keys and metadata go on, and tokens that were issued stay good; then it recovers."""
    with running(f"postgresql:///verbund?host={own_postgres.directory}") as mesh:
        token = mesh.token(mesh.operator)
        own_postgres.stop()
        with structlog.testing.capture_logs():
            answer = mesh.http.post("/oauth2/token", data=mesh.operator.form())
            assert (answer.status_code, answer.json()) == (503, {"error": "temporarily_unavailable"})
            assert int(answer.headers["retry-after"]) > 0
            assert mesh.http.get("/oauth2/jwks").status_code == 200
            assert mesh.verifier.verify(token).system == mesh.operator.name
            own_postgres.start()
            assert recovered(mesh) == 200


def recovered(mesh: Mesh) -> int:
    """The status when the outage is over."""
    end = time.monotonic() + READY_SECONDS_MAX
    while True:
        answer = mesh.http.post("/oauth2/token", data=mesh.operator.form())
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > end:
            return answer.status_code
        time.sleep(0.1)


def test_a_lost_key_file_is_told_to_the_operator(database_dsn: str) -> None:
    """A worker with another file cannot open the signing key: it gives no token, and the log says what to do."""
    with running(database_dsn) as first:
        first.token(first.operator)
    with running(database_dsn, operator=first.operator) as second:
        file = Path(second.environment["VERBUND_IDENTITY_KEY_ENCRYPTION_FILE"])
        assert json.loads(file.read_bytes())["kty"] == OctKey.key_type
        with structlog.testing.capture_logs() as lines:
            answer = second.http.post("/oauth2/token", data=first.operator.form())
        assert answer.status_code == 503
        assert any("rotate-keys" in line.get("remedy", "") for line in lines)
