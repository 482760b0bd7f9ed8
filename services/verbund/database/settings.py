"""Where the database is: the variables `VERBUND_DATABASE_*`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """The database of every area; each connects under roles of its own."""

    # A connection string without a role, `postgresql:///verbund?host=/run/verbund`.
    dsn: str
