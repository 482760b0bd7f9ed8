"""What every test may ask for."""

from tests.support.home import mesh, running
from tests.support.postgres import database_dsn, postgres

__all__ = ["database_dsn", "mesh", "postgres", "running"]
