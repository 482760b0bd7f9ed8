"""`verbund identity …`: what is done beside the mesh's API, by those who may reach its database."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from verbund import settings as loader
from verbund.clock import wall_clock
from verbund.database.database import Database
from verbund.embedded import home as homes
from verbund.embedded.settings import for_parts
from verbund.failure import Failure
from verbund.identity.bootstrap import OperatorExists
from verbund.identity.bootstrap import bootstrap as make_operator
from verbund.identity.keys.rotation import Rotation
from verbund.identity.keys.sealing import Seal, SealError
from verbund.identity.keys.store import KeyStore
from verbund.identity.settings import IdentitySettings
from verbund.options import Show, home_option, json_option
from verbund.serving.refusals import Invalid, Refusal


@click.group("identity")
def identity() -> None:
    """Look after the token service, directly on its database."""


@identity.command("rotate-keys")
@home_option
@json_option
def rotate_keys(*, named: Path | None, show: Show) -> None:
    """Make the next signing key now.

    It is published at once, signs after VERBUND_IDENTITY_KEY_PUBLISH_SECONDS, and the present one stays published
    until its last token has expired: no valid token is refused.
    """
    environment = environment_of(named)
    settings = loader.load(IdentitySettings, environment, prefix="VERBUND_IDENTITY_")
    with jobs(environment) as database:
        seal = Seal.read(settings.key_encryption_file)
        rotation = Rotation(database=database, keys=KeyStore(), seal=seal, schedule=settings.schedule, clock=wall_clock)
        begun = rotation.begin()
    seconds = settings.key_publish_seconds
    text = "A new key is made and published" if begun else "A key waits for its turn already: no new one is made"
    show({"begun": begun, "publishSeconds": seconds}, f"{text}; it signs {after(seconds)}.")


@identity.command("bootstrap")
@click.option("--organisation", required=True, help="The id of the organisation that runs the mesh: senatskanzlei.")
@click.option("--title", required=True, help="The organisation's official name.")
@click.option("--system", required=True, help="The id of the system that acts for it: administration.")
@click.option(
    "--public-key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the system's public key, a JSON Web Key.",
)
@home_option
@json_option
def bootstrap(*, organisation: str, title: str, system: str, public_key: Path, named: Path | None, show: Show) -> None:
    """Make the mesh's first operator.

    Repeated with the same key it changes nothing; where there is another operator it refuses.
    """
    with jobs(environment_of(named)) as database:
        name = make_operator(
            database, organisation=organisation, title=title, system=system, public_key=public_key.read_text()
        )
    show({"system": name, "clientId": name}, f"{name} runs this mesh.")


def environment_of(named: Path | None) -> Mapping[str, str]:
    """The settings of a service: those of the environment, or those of the embedded mesh in its home."""
    if named is None and os.environ.get("VERBUND_DATABASE_DSN"):
        return os.environ
    return for_parts(homes.present(named), os.environ)


@contextmanager
def jobs(environment: Mapping[str, str]) -> Iterator[Database]:
    """The database as identity's jobs see it; what is refused becomes a sentence for a person."""
    database = Database(environment["VERBUND_DATABASE_DSN"], role="identity_jobs", schema="identity", pool_size=1)
    try:
        yield database
    except (OperatorExists, SealError) as error:
        raise Failure(f"{error}.", who="The operator", remedy="see the sentence above.") from None
    except Invalid as error:
        found = "; ".join(f"{violation.path} {violation.description}" for violation in error.violations)
        raise Failure(f"{found}.", who="You", remedy="give the public part of a key of these kinds.") from None
    except Refusal as error:
        raise Failure(
            f"The database refuses: {error.reason}.", who="You", remedy="check that the mesh's database runs."
        ) from None
    finally:
        database.close()


def after(seconds: float) -> str:
    """When a new key signs, in words."""
    return f"in about {seconds:g} seconds" if seconds else "at once"
