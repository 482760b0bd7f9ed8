"""What happens to a test whose program cannot be had on this machine."""

import os
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """Skips the test with the reason; fails it where VERBUND_REQUIRE_ALL=1 says that nothing may be skipped."""
    if os.environ.get("VERBUND_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason}, and VERBUND_REQUIRE_ALL=1 lets nothing be skipped")
    pytest.skip(reason)
