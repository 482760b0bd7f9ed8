"""A client for a command: which mesh, which system, and what is said to the person when the mesh refuses."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
import httpx
from google.rpc import error_details_pb2 as errors

from verbund.embedded import home as homes
from verbund.failure import Failure
from verbund.options import home_option
from verbund.sdk.client import Client
from verbund.sdk.refusals import Damaged, NotReady, Refused, TokenRefused

FIXERS = {
    "caller": "You",
    "caller_administrator": "Your administrator",
    "provider": "The owner",
    "operator": "The operator",
}


def client_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that calls the mesh; the command gets a `client` instead."""

    @click.option("--system", help="The system to act as: organisations/…/systems/…; else the first of ready.json.")
    @home_option
    @wraps(command)
    def connected(*, system: str | None, named: Path | None, **rest: Any) -> None:
        with connection(named, system) as client:
            if system is None and sys.stderr.isatty():  # whose it is, is not to be a surprise
                click.echo(f"Acting as {client.client_id}; --system names another.", err=True)
            command(client=client, **rest)

    return connected


@contextmanager
def connection(named: Path | None, system: str | None) -> Iterator[Client]:
    """A client; what the mesh refuses is said in a sentence, with who can mend it and how."""
    home = homes.present(named)
    try:
        with Client.from_home(home.path, system) as client:
            yield client
    except NotReady as error:
        remedy = "start the mesh with `verbund up`, and name a system that its ready.json lists."
        raise Failure(f"{error}.", who="You", remedy=remedy) from None
    except TokenRefused as error:
        remedy = "the mesh does not take the key in the home: add it to the system (:addKey), or resume the system."
        raise Failure(f"{error}.", who="The operator", remedy=remedy) from None
    except httpx.TransportError as error:
        remedy = "check that the mesh runs, and start it with `verbund up`."
        raise Failure(f"The gateway cannot be reached: {error}.", who="You", remedy=remedy) from None
    except Damaged as error:
        remedy = "download it again; if it stays so, the operator looks at the disk that keeps it."
        raise Failure(f"{error}.", who="You", remedy=remedy) from None
    except Refused as refused:
        raise failure_of(refused) from None


def failure_of(refused: Refused) -> Failure:
    """A refusal as a command says it."""
    trace = refused.metadata.get("traceId", "")
    remedy = refused.remedy or "check that the mesh runs, and try again."
    who = FIXERS.get(refused.metadata.get("fixer", ""), "You")
    what = " ".join([f"{refused}", *particulars(refused)])
    return Failure(what, who=who, remedy=f"{remedy} (trace {trace})" if trace else remedy)


def particulars(refused: Refused) -> Iterator[str]:
    """What exactly is wrong, where the remedy points to the details of the refusal."""
    for detail in refused.details:
        if isinstance(detail, errors.BadRequest):
            yield from (f"{violation.field}: {violation.description}." for violation in detail.field_violations)
        elif isinstance(detail, errors.PreconditionFailure):
            yield from (violation.description for violation in detail.violations)
        elif isinstance(detail, errors.ResourceInfo) and detail.resource_name:
            yield f"{detail.resource_name}."
