"""What every test may ask for."""

from tests.support.chromium import browser, chromium, page
from tests.support.home import mesh, running
from tests.support.postgres import database_dsn, postgres

__all__ = ["browser", "chromium", "database_dsn", "mesh", "page", "postgres", "running"]
