"""What has expired is forgotten, by a role that sees every organisation's rows, and nothing else is."""

from typing import LiteralString

import psycopg
import pytest
from verbund.database.database import Database
from verbund.database.sweeping import BATCH, Sweep
from verbund.exchange.main import EXPIRED as EXCHANGE_EXPIRED
from verbund.identity.main import EXPIRED as IDENTITY_EXPIRED
from verbund.registry.main import EXPIRED as REGISTRY_EXPIRED

ROWS = BATCH + 5


@pytest.mark.parametrize(
    ("area", "expired"),
    [("identity", IDENTITY_EXPIRED), ("exchange", EXCHANGE_EXPIRED), ("registry", REGISTRY_EXPIRED)],
)
def test_answers_are_kept_for_48_hours_and_no_longer(
    database_dsn: str, area: str, expired: tuple[LiteralString, ...]
) -> None:
    """More old rows than one batch are gone after one round; the young one stays."""
    insert = (
        f"INSERT INTO {area}.idempotency (organisation, caller, method, request_id, request_digest, create_time)"  # noqa: S608
        " SELECT 'organisations/a', 's', 'm', gen_random_uuid(), '', now() - make_interval(hours => %s)"
        " FROM generate_series(1, %s)"
    )
    with psycopg.connect(f"{database_dsn}&user=postgres", autocommit=True) as connection:
        connection.execute(insert.encode(), (49, ROWS))
        connection.execute(insert.encode(), (47, 1))
        database = Database(database_dsn, role=f"{area}_jobs", schema=area, pool_size=1)
        try:
            Sweep(database, "test", expired).run()
        finally:
            database.close()
        assert connection.execute(f"SELECT count(*) FROM {area}.idempotency".encode()).fetchone() == (1,)  # noqa: S608
