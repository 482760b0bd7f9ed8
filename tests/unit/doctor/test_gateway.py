"""What is said of certificates and clocks."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from verbund.doctor import gateway
from verbund.doctor.findings import State

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("days", "state"), [(60, State.OK), (15, State.OK), (13, State.WARNING), (-1, State.WARNING)])
def test_a_certificate_that_should_have_been_renewed_is_told(days: int, state: State) -> None:
    """Before it ends: it is renewed a month ahead, so whatever is nearer has been missed."""
    end = NOW + timedelta(days=days)
    finding = gateway.certificate({"notAfter": end.strftime("%b %d %H:%M:%S %Y GMT")}, NOW)
    assert finding.state is state
    assert f"{end:%Y-%m-%d}" in finding.says


@pytest.mark.parametrize(
    ("seconds", "state"),
    [(0, State.OK), (4, State.OK), (-30, State.WARNING), (30, State.WARNING), (-90, State.PROBLEM)],
)
def test_a_clock_that_goes_wrong_is_told(seconds: int, state: State) -> None:
    """Before tokens are refused for it, and then."""
    answer = httpx.Response(200, headers={"date": format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)})
    (finding,) = gateway.skew(answer, NOW)
    assert finding.state is state


@pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}])
def test_an_answer_without_a_readable_date_says_nothing_of_clocks(headers: dict[str, str]) -> None:
    """Something before the gateway may have taken it away."""
    assert list(gateway.skew(httpx.Response(200, headers=headers), NOW)) == []
