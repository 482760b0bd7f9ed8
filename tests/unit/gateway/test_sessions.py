"""Which of a browser's cookies reach whom."""

from verbund.console.routes import LANGUAGE_COOKIE
from verbund.policy import catalogue
from verbund_gateway import sessions
from verbund_gateway.golden import EXAMPLE


def test_cookies_with_tokens_reach_nobody() -> None:
    """No route names one of those that the gateway keeps for itself."""
    named = {name for route in catalogue.HTTP_ROUTES for name in route.cookies}
    assert named
    assert not named & set(sessions.COOKIES.values())


def test_pages_see_the_language_alone() -> None:
    """The sign-on's cookies are identity's: a page needs none of them."""
    for route in catalogue.HTTP_ROUTES:
        if route.area != "identity":
            assert set(route.cookies) <= {LANGUAGE_COOKIE}, route.path


def test_the_filter_reads_before_cookies_are_taken_away() -> None:
    """The sieve stands behind it."""
    names = [each["name"] for each in sessions.filters(EXAMPLE)]
    assert names.index(sessions.FILTER) < names.index(sessions.SIEVE)
