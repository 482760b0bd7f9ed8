"""Reading what a browser or a client sends: bounded in bytes, in fields and in time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from verbund.serving import forms

BYTES_MAX = 8 * 1024
FIELDS_MAX = 48
SECONDS_MAX = 10.0


class Unreadable(Exception):  # noqa: N818 - a refusal
    """What was sent is no form, or too large; `reason` names the text for a person."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


async def pairs_of(request: Request) -> list[tuple[str, str]]:
    """The parameters of a request: of the query, or of the form that was posted. Raises Unreadable."""
    if request.method != "POST":
        return parsed(request.scope["query_string"])
    if not forms.is_form(request.headers.get("content-type", "")):
        raise Unreadable("malformed", 415)
    return parsed(await body_of(request))


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form that no field may stand in twice, without the empty ones. Raises Unreadable."""
    pairs = [(name, value) for name, value in await pairs_of(request) if value]
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unreadable("malformed", 400)
    return fields


def parsed(text: bytes) -> list[tuple[str, str]]:
    """The pairs of a query or a form; raises Unreadable."""
    if len(text) > BYTES_MAX:
        raise Unreadable("large", 413)
    try:
        return forms.pairs_of(text, fields_max=FIELDS_MAX)
    except ValueError:
        raise Unreadable("malformed", 400) from None


async def body_of(request: Request) -> bytes:
    """A body; raises Unreadable where it is too large, too slow, or breaks off."""
    try:
        async with asyncio.timeout(SECONDS_MAX):
            return await forms.body_of(request, BYTES_MAX)
    except forms.TooLarge:
        raise Unreadable("large", 413) from None
    except TimeoutError:
        raise Unreadable("malformed", 408) from None
    except ClientDisconnect:
        raise Unreadable("malformed", 400) from None
