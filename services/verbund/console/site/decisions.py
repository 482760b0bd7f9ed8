"""What a person decides on a delivery: accept, reject with a reason, withdraw. A form sent twice has one effect."""

import uuid
from collections.abc import Mapping
from dataclasses import replace

import grpc
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response

from verbund.console.routes import DECISIONS_PATH
from verbund.console.site.deliveries import REASONS, Typed, delivery_page, name_of
from verbund.console.site.desk import Desk
from verbund.console.site.mail import address_of
from verbund.console.site.peers import Asking
from verbund.console.site.refusal import KINDS, RETRY_SECONDS, WAIT, code_of, ended_page
from verbund.console.site.visit import HEADERS, Visit
from verbund.exchange.v1 import delivery_service_pb2 as pb
from verbund.exchange.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from verbund.sdk.refusals import Refused
from verbund.serving import forms
from verbund.serving.refusals import Forbidden, Invalid, Unauthenticated
from verbund.serving.status import http_status_of

FORM_BYTES_MAX = 64 * 1024
FIELDS_MAX = 10
EXPLANATION_CHARACTERS_MAX = 2000
SEE_OTHER = 303
# Refusals that a person understands from the page as it stands now, with their words beside what they typed.
EXPLAINED = {
    grpc.StatusCode.FAILED_PRECONDITION: "wrong_state",
    grpc.StatusCode.ABORTED: "wrong_state",
    grpc.StatusCode.PERMISSION_DENIED: "wrong_role",
    grpc.StatusCode.ALREADY_EXISTS: "wrong_repeated",
    grpc.StatusCode.INVALID_ARGUMENT: "wrong_input",
    grpc.StatusCode.UNAVAILABLE: "wrong_away",
    grpc.StatusCode.DEADLINE_EXCEEDED: "wrong_away",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "wrong_away",
}


def decide(desk: Desk, visit: Visit, path: str, form: Mapping[str, str]) -> Response:
    """Does what the form says, and leads back to the delivery; what is wrong is said there, and what was typed is kept,
    also where nobody is signed in any more, and where the delivery cannot be shown. Raises Absent, Invalid and Refused.
    """
    name, action, typed = name_of(path), form.get("action", ""), typed_of(form)
    try:
        return tried(desk, visit, path, action, typed) or RedirectResponse(address_of(name), SEE_OTHER, HEADERS)
    except (Unauthenticated, Refused) as refusal:
        here, code = replace(visit, here=address_of(name)), code_of(refusal)
        form_again = {"decisions": DECISIONS_PATH + path, "action": action, "typed": typed, "reasons": REASONS}
        if code == grpc.StatusCode.UNAUTHENTICATED:
            return ended_page(here, refusal, "again.html", why="ended", **form_again)
        if KINDS.get(code) not in WAIT:
            raise
        status, headers = http_status_of(code.value[0]), {"Retry-After": str(RETRY_SECONDS)}
        return here.page("again.html", status=status, headers=headers, why="away", **form_again)


def tried(desk: Desk, visit: Visit, path: str, action: str, typed: Typed) -> Response | None:
    """The delivery's page with what is wrong; None where it is done.

    Raises Absent, Refused, and Unauthenticated where nobody is signed in.
    """
    asking = desk.asking(visit)
    if typed.wrong:
        return delivery_page(desk, visit, path, typed, status=400)
    try:
        act(asking, name_of(path), action, typed)
    except Refused as refusal:
        if refusal.code not in EXPLAINED:
            raise
        wrong = EXPLAINED[refusal.code] if refusal.reason != "REQUEST_ID_REUSED" else "wrong_repeated"
        again = replace(typed, wrong=wrong)
        return delivery_page(desk, visit, path, again, status=http_status_of(refusal.code.value[0]))
    return None


def act(asking: Asking, name: str, action: str, typed: Typed) -> None:
    """The calls of an action; each has a request_id that follows from the form's. Raises Refused."""
    if action == "withdraw":
        withdrawal = pb.WithdrawDeliveryRequest(name=name, request_id=typed.request_id)
        asking.later("exchange", lambda channel: DeliveryServiceStub(channel).WithdrawDelivery, withdrawal).result()
        return
    # Nobody else can decide meanwhile; whoever has claimed it already goes on with their claim.
    claim = pb.ClaimDeliveryRequest(name=name, request_id=claim_id(typed.request_id))
    asking.later("exchange", lambda channel: DeliveryServiceStub(channel).ClaimDelivery, claim).result()
    if action == "accept":
        accepted = pb.AcceptDeliveryRequest(name=name, request_id=typed.request_id)
        asking.later("exchange", lambda channel: DeliveryServiceStub(channel).AcceptDelivery, accepted).result()
        return
    reason = pb.RejectionReason.Value(f"REJECTION_REASON_{typed.reason}")
    rejected = pb.RejectDeliveryRequest(
        name=name,
        rejection=pb.Rejection(reason=reason, explanation=typed.explanation),
        request_id=typed.request_id,
    )
    asking.later("exchange", lambda channel: DeliveryServiceStub(channel).RejectDelivery, rejected).result()


def claim_id(request_id: str) -> str:
    """The request_id of the claim that belongs to a decision."""
    return str(uuid.uuid5(uuid.UUID(request_id), "claim"))


def typed_of(form: Mapping[str, str]) -> Typed:
    """What the form says, with what is wrong with it; raises Invalid where it is none of ours."""
    action, request_id = form.get("action", ""), form.get("request_id", "")
    if action not in ("accept", "reject", "withdraw"):
        raise Invalid("action", "is not one of the page's")
    try:
        known = str(uuid.UUID(request_id))
    except ValueError:
        raise Invalid("request_id", "is not the page's") from None
    reason, explanation = form.get("reason", ""), form.get("explanation", "").replace("\r\n", "\n").strip()
    wrong, wrong_field = "", ""
    if action == "reject":
        if reason not in REASONS:
            reason, wrong, wrong_field = "", "wrong_reason", "reason"
        elif not explanation:
            wrong, wrong_field = "wrong_explanation", "explanation"
        elif len(explanation) > EXPLANATION_CHARACTERS_MAX:
            wrong, wrong_field = "wrong_length", "explanation"
    return Typed(known, reason, explanation, wrong, wrong_field)


def form_of(headers: Headers, body: bytes) -> Mapping[str, str]:
    """The fields of a form, each once; raises Invalid."""
    if not forms.is_form(headers.get("content-type", "")):
        raise Invalid("body", f"must be {forms.FORM_TYPE}")
    try:
        pairs = forms.pairs_of(body, fields_max=FIELDS_MAX)
    except ValueError:
        raise Invalid("body", "is not a form") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Invalid("body", "names a field twice")
    return form


def require_own_form(headers: Headers, origin: str) -> None:
    """Raises Forbidden where the form may stand on somebody else's page: the browser says where it stood."""
    stated = headers.getlist("origin")
    site = headers.get("sec-fetch-site", "")
    own = stated == [origin] and site in ("", "same-origin")
    if not own and (stated or site != "same-origin"):
        raise Forbidden("PERMISSION_MISSING", rule="console.decisions.make")
