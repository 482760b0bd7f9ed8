"""Identity's settings: a wrong one fails the start with its name."""

import pytest
from verbund import settings as loader
from verbund.identity.settings import IdentitySettings
from verbund.settings import SettingError

PREFIX = "VERBUND_IDENTITY_"
PLACES = {f"{PREFIX}PUBLISH_DIR": "/p", f"{PREFIX}KEY_ENCRYPTION_FILE": "/k"}


def test_the_defaults_are_those_that_the_documents_name() -> None:
    """Ten minutes published, five minutes' tokens, thirty days."""
    settings = loader.load(IdentitySettings, PLACES, prefix=PREFIX)
    assert (settings.key_publish_seconds, settings.token_seconds, settings.key_rotate_days) == (600, 300, 30)
    assert settings.schedule.rotate.days == 30


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TOKEN_SECONDS", "0", "TOKEN_SECONDS"),
        ("TOKEN_SECONDS", "86400", "TOKEN_SECONDS"),
        ("TOKEN_SECONDS", "five", "VERBUND_IDENTITY_TOKEN_SECONDS"),
        ("KEY_PUBLISH_SECONDS", "-1", "KEY_PUBLISH_SECONDS"),
        ("KEY_ROTATE_DAYS", "0.001", "KEY_ROTATE_DAYS"),
        ("PUBLISH_EVERY_SECONDS", "0", "PUBLISH_EVERY_SECONDS"),
        ("POOL_SIZE", "0", "POOL_SIZE"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(name: str, value: str, told: str) -> None:
    """Before anything is served."""
    with pytest.raises(SettingError, match=told):
        loader.load(IdentitySettings, PLACES | {f"{PREFIX}{name}": value}, prefix=PREFIX)


def test_places_must_be_set() -> None:
    """There is no safe default for where keys lie."""
    with pytest.raises(SettingError, match="PUBLISH_DIR"):
        loader.load(IdentitySettings, {}, prefix=PREFIX)
