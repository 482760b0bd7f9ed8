"""Forms as browsers and clients post them (RFC 6749, appendix B), read within bounds.

Each reader says in its own words what it refuses: a person, a client and a caller are told different things.
"""

from urllib.parse import parse_qsl

from starlette.requests import Request

FORM_TYPE = "application/x-www-form-urlencoded"


class TooLarge(Exception):  # noqa: N818 - says what is the case
    """A body has more bytes than its reader takes."""


def is_form(content_type: str) -> bool:
    """Whether a Content-Type says that the body is a form, whatever its parameters."""
    return content_type.partition(";")[0].strip().lower() == FORM_TYPE


async def body_of(request: Request, bytes_max: int) -> bytes:
    """A request's body; raises TooLarge, and starlette's ClientDisconnect where it breaks off."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise TooLarge
    return bytes(body)


def pairs_of(text: bytes, *, fields_max: int) -> list[tuple[str, str]]:
    """The pairs of a form or a query, the empty ones too; raises ValueError where it is none, or has too many."""
    return parse_qsl(
        text.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=fields_max
    )
