"""The first page: what waits for the person's organisation, and what it waits for."""

from starlette.responses import Response

from verbund.console.site.desk import Desk
from verbund.console.site.mail import RECEIVED_OPEN, SENT_OPEN, Errand, Mail, errand_of
from verbund.console.site.visit import Visit

SHOWN_MAX = 25  # of each kind: what a person looks through, and a small page with long names too


def start_page(desk: Desk, visit: Visit) -> Response:
    """The page. Two rounds of calls: mailboxes and what is sent, then what each mailbox received. Names not yet known
    cost a third for organisations, none for the person.
    """
    asking = desk.asking(visit)
    if not visit.may("exchange.deliveries.read"):
        titles = desk.titles.of(asking, [visit.organisation])
        return visit.page("start.html", titles=titles, organisation_title=titles[visit.organisation], follows=False)
    found = Mail(asking, visit.organisation, sent=SENT_OPEN, received=RECEIVED_OPEN).found()
    errands = sorted((errand_of(each, visit.organisation) for each in found.deliveries), key=order_of)
    mine = [errand for errand in errands if errand.next == visit.organisation]
    others = [errand for errand in errands if errand.next not in ("", visit.organisation)]
    shown = [*mine[:SHOWN_MAX], *others[:SHOWN_MAX]]
    named = (name for errand in shown for name in (errand.other, errand.next))
    titles = desk.titles.of(asking, [visit.organisation, *named])
    return visit.page(
        "start.html",
        follows=True,
        mine=mine[:SHOWN_MAX],
        others=others[:SHOWN_MAX],
        more=found.more or max(len(mine), len(others)) > SHOWN_MAX,
        titles=titles,
        organisation_title=titles[visit.organisation],
    )


def order_of(errand: Errand) -> tuple[bool, float, str]:
    """The most urgent first."""
    return errand.order
