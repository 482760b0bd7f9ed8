"""The life of signing keys: published -> signing -> retired -> gone.

A key is in everybody's hands before the first token signed with it can arrive, and stays there until the last one has
expired. So no verifier ever meets a valid token whose key it does not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# Beyond a token's own life: clocks differ, gateways forgive a minute, and a worker may be slow to sign.
MARGIN = timedelta(seconds=120)


class KeyState(StrEnum):
    """Where in its life a key is."""

    PUBLISHED = "published"
    SIGNING = "signing"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A signing key, without its secret."""

    kid: str
    jwk: str
    state: KeyState
    create_time: datetime
    publish_time: datetime | None = None  # since when the published file has held it
    sign_time: datetime | None = None
    retire_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long keys are published before they sign, sign, and are kept after."""

    publish: timedelta
    rotate: timedelta
    token_life: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is to be done with the keys now."""

    create: bool = False
    sign: str | None = None  # the key that signs from now on; the one that does so far retires
    drop: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether anything is."""
        return self.create or self.sign is not None or bool(self.drop)


def due(keys: Sequence[SigningKey], schedule: Schedule, *, at: datetime) -> Due:
    """What the schedule asks for at this time."""
    waiting = next((key for key in keys if key.state is KeyState.PUBLISHED), None)
    signing = next((key for key in keys if key.state is KeyState.SIGNING), None)
    return Due(
        create=waiting is None and (signing is None or ages(signing, schedule, at=at)),
        sign=waiting.kid if waiting and may_sign(waiting, signing, schedule, at=at) else None,
        drop=tuple(key.kid for key in keys if is_over(key, schedule, at=at)),
    )


def ages(signing: SigningKey, schedule: Schedule, *, at: datetime) -> bool:
    """Whether the next key must be published now to take over in time."""
    assert signing.sign_time is not None
    return at >= signing.sign_time + schedule.rotate - schedule.publish


def may_sign(waiting: SigningKey, signing: SigningKey | None, schedule: Schedule, *, at: datetime) -> bool:
    """Whether a key has been published long enough. The mesh's first need not wait: nobody holds an older set."""
    if waiting.publish_time is None:
        return False
    return signing is None or at >= waiting.publish_time + schedule.publish


def is_over(key: SigningKey, schedule: Schedule, *, at: datetime) -> bool:
    """Whether every token that a retired key signed has expired."""
    return key.retire_time is not None and at >= key.retire_time + schedule.token_life + MARGIN
