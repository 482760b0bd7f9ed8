"""What the pages share: the services they ask, the clock and its zone, the origin their forms come from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from verbund.console.site.mail import Titles
from verbund.console.site.peers import Asking, Peers
from verbund.console.site.people import People
from verbund.console.site.visit import Visit
from verbund.serving.refusals import Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The pages' surroundings. Times are seconds."""

    peers: Peers
    origin: str
    zone: ZoneInfo
    clock: Callable[[], datetime]
    call_seconds_max: float
    titles: Titles = field(default_factory=Titles)
    people: People = field(default_factory=People)

    @staticmethod
    def asking(visit: Visit) -> Asking:
        """The visit's calls; raises Unauthenticated where nobody is signed in."""
        if visit.asking is None:
            raise Unauthenticated("NO_TOKEN")
        return visit.asking
