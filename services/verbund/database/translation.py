"""What the driver raises, as refusals. Driver text never leaves the process."""

import psycopg
import psycopg.errors as pg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from verbund.serving.call import Call
from verbund.serving.refusals import Down, Exhausted, Late, Refusal, Stale

RETRY_SECONDS = 1.0


def refusal_of(error: Exception, call: Call) -> Refusal | Exception:
    """The refusal that a driver's error means, or the error itself where it is a fault of ours."""
    match error:
        case pg.SerializationFailure() | pg.DeadlockDetected() | pg.LockNotAvailable():
            return Stale()
        case pg.QueryCanceled():
            return Late()
        case pg.DiskFull():
            return Exhausted(limit="storage", retry_seconds=RETRY_SECONDS)
        case PoolTimeout() | TooManyRequests() | PoolClosed():
            return Late() if call.remaining_seconds() <= 0 else Down(retry_seconds=RETRY_SECONDS)
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return Down(retry_seconds=RETRY_SECONDS)
    return error
