"""Settings come from the environment and are checked at the start."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from verbund.serving.settings import ServingSettings
from verbund.settings import SettingError, load


@dataclass(frozen=True)
class Example:
    """Settings of every type."""

    name: str
    size: int = 3
    share: float = 0.5
    on: bool = False
    file: Path | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("SIZE must be at least 1, or SHARE 0")


def test_every_type_is_read() -> None:
    """Numbers, truth, paths and lists."""
    stated = {
        "X_NAME": "n",
        "X_SIZE": "7",
        "X_SHARE": "0.25",
        "X_ON": "True",
        "X_FILE": "f",
        "X_NAMES": "a, b,",
        "Y": "z",
    }
    assert load(Example, stated, prefix="X_") == Example("n", 7, 0.25, True, Path("f"), ("a", "b"))
    assert load(Example, {"X_NAME": "n"}, prefix="X_") == Example("n")


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({}, "X_NAME is not set; it takes a text"),
        ({"X_NAME": "n", "X_SIZE": "big"}, "X_SIZE takes a whole number, not 'big'"),
        ({"X_NAME": "n", "X_ON": "perhaps"}, "X_ON takes true or false, not 'perhaps'"),
        ({"X_NAME": "n", "X_SIZE": "0"}, "^X_SIZE must be at least 1, or X_SHARE 0$"),
    ],
)
def test_a_wrong_setting_fails_the_start_by_its_name(stated: dict[str, str], message: str) -> None:
    """Whoever set it knows which, and what it takes."""
    with pytest.raises(SettingError, match=message):
        load(Example, stated, prefix="X_")


def test_a_service_listens_in_exactly_one_way() -> None:
    """On its socket, or with mutual TLS and all that it needs."""
    usual = {"P_ISSUER": "i", "P_JWKS_FILE": "j", "P_REVOCATIONS_FILE": "r"}
    assert load(ServingSettings, usual | {"P_SOCKET_DIR": "s"}, prefix="P_").socket_dir == Path("s")
    for wrong in ({}, {"P_SOCKET_DIR": "s", "P_LISTEN": "[::]:1"}, {"P_LISTEN": "[::]:1"}):
        with pytest.raises(SettingError):
            load(ServingSettings, usual | wrong, prefix="P_")
