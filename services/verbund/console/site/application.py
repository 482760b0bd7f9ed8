"""The handlers of the people's pages, by the names of their rules."""

from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from verbund.console.site import decisions, deliveries, projects, start
from verbund.console.site.desk import Desk
from verbund.console.site.peers import Asking
from verbund.console.site.refusal import refusal_page
from verbund.console.site.visit import Visit, visit_of
from verbund.sdk.refusals import Refused
from verbund.serving import forms
from verbund.serving.authentication import BEARER
from verbund.serving.call import Call
from verbund.serving.guarded import Handler
from verbund.serving.refusals import Absent, Exhausted, Refusal

Show = Callable[[Visit, str], Response]  # of a visit, and of what its path names


class Site:
    """The pages, and what stands where a page cannot be shown."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[str, Handler]:
        """Each page by the name of its rule."""
        desk = self._desk
        return {
            "console.start.read": self._shown(self._start),
            "console.projects.list": self._shown(lambda visit, _path: projects.list_page(desk, visit)),
            "console.projects.read": self._shown(lambda visit, path: projects.project_page(desk, visit, path)),
            "console.deliveries.read": self._shown(lambda visit, path: deliveries.delivery_page(desk, visit, path)),
            "console.decisions.make": self._decided,
            "console.signed-in.read": self._shown(lambda visit, _path: visit.page("signed_in.html")),
            "console.signed-out.read": self._signed_out,
        }

    def refused(self, request: Request, refusal: Refusal) -> Response:
        """The page of a refusal before it is known who asks."""
        return refusal_page(self._visit(request), refusal, self._desk.titles)

    def _start(self, visit: Visit, path: str) -> Response:
        if path:
            raise Absent(f"console/{path}")
        return start.start_page(self._desk, visit)

    def _shown(self, show: Show) -> Callable[[Request, Call], Response]:
        """A page, made in a thread; where it cannot be shown, what says so shows who is signed in all the same."""

        def handle(request: Request, call: Call) -> Response:
            visit = self._visit(request, call)
            try:
                return show(visit, request.path_params.get("path", ""))
            except (Refusal, Refused) as refusal:
                return refusal_page(visit, refusal, self._desk.titles)

        return handle

    async def _decided(self, request: Request, call: Call) -> Response:
        """A form, read here and carried out in a thread."""
        body = await body_of(request)

        def decided(visit: Visit, path: str) -> Response:
            # First, whoever sends it: what another site has filled in is shown to nobody.
            decisions.require_own_form(request.headers, self._desk.origin)
            return decisions.decide(self._desk, visit, path, decisions.form_of(request.headers, body))

        return await run_in_threadpool(self._shown(decided), request, call)

    def _signed_out(self, request: Request, _call: Call) -> Response:
        return self._visit(request).page("signed_out.html")

    def _visit(self, request: Request, call: Call | None = None) -> Visit:
        desk = self._desk
        if call is None or not call.principal.subject:
            return visit_of(request, now=desk.clock(), zone=desk.zone)
        token = request.headers.get("authorization", "")[len(BEARER) :].strip()
        asking = Asking(desk.peers, call, token=token, seconds_max=desk.call_seconds_max)
        naming = desk.people.naming(asking, call.principal)
        return visit_of(
            request, now=desk.clock(), zone=desk.zone, principal=call.principal, asking=asking, naming=naming
        )


async def body_of(request: Request) -> bytes:
    """A form's body; raises Exhausted where it is larger than our forms are."""
    try:
        return await forms.body_of(request, decisions.FORM_BYTES_MAX)
    except forms.TooLarge:
        raise Exhausted(limit="form bytes") from None
