"""A refusal in a link, by which its page is read again in another language: what led to it may be good for once."""

import base64
import hmac

import orjson

from verbund.identity.signon.domain import Unanswerable

MAC_BYTES = 32


class Retelling:
    """Puts refusals into links, and believes only its own: nobody has our pages say what they want."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def about(self, refused: Unanswerable, trace: str) -> str:
        """A refusal with its trace, as a link has it."""
        stated = orjson.dumps([refused.reason, refused.who, refused.status, refused.retry_seconds, trace])
        return base64.urlsafe_b64encode(self._mac(stated) + stated).decode()

    def read(self, about: str) -> tuple[Unanswerable, str]:
        """The refusal that a link has, and its trace; raises Unanswerable where the link is none of ours."""
        try:
            sent = base64.b64decode(about, altchars=b"-_", validate=True)
        except ValueError:
            raise Unanswerable("malformed") from None
        mac, stated = sent[:MAC_BYTES], sent[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(stated)):
            raise Unanswerable("malformed")
        reason, who, status, retry_seconds, trace = orjson.loads(stated)
        return Unanswerable(reason, who=who, status=status, retry_seconds=retry_seconds), trace

    def _mac(self, stated: bytes) -> bytes:
        return hmac.digest(self._key, stated, "sha256")
