"""The settings of the trace store."""

import pytest
from verbund.settings import SettingError, load
from verbund.traces.settings import TraceSettings

NEEDED = {"VERBUND_TRACES_SOCKET": "/run/x.sock", "VERBUND_TRACES_DATABASE": "/x/traces.sqlite"}


def test_the_bounds_are_a_week_and_256_mib() -> None:
    """The defaults are those the documentation names."""
    settings = load(TraceSettings, NEEDED, prefix="VERBUND_TRACES_")
    assert (settings.retention_days, settings.size_mib_max) == (7, 256)


@pytest.mark.parametrize(("name", "value"), [("SIZE_MIB_MAX", "8"), ("RETENTION_DAYS", "0"), ("THREADS", "x")])
def test_a_wrong_setting_fails_the_start_with_its_name(name: str, value: str) -> None:
    """The message names the variable."""
    with pytest.raises(SettingError, match=name):
        load(TraceSettings, {**NEEDED, f"VERBUND_TRACES_{name}": value}, prefix="VERBUND_TRACES_")
