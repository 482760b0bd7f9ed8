"""What every test may ask for."""

from tests.support.postgres import database_dsn, postgres

__all__ = ["database_dsn", "postgres"]
