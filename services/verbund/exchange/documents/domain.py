"""Documents on their way in: what a sender may say of one, and what the content has to be.

The document itself is a part of its delivery (deliveries/domain.py).
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

from verbund.exchange.deliveries.domain import Delivery, Document
from verbund.exchange.mailboxes.domain import Mailbox
from verbund.resources.names import DeliveryName, DocumentName, organisation_of
from verbund.serving.call import Call
from verbund.serving.refusals import Absent, Exhausted, Exists, Invalid, StateForbids, Violation

FILE_NAME_BYTES_MAX = 255
CONTENT_BYTES_MAX = 1024 * 1024  # of one piece
MEDIA_TYPE_DEFAULT = "application/octet-stream"
MEDIA_TYPE_LENGTH_MAX = 127  # as the proto has it; a type that comes with the content has no other bound
# RFC 6838, section 4.2, and parameters as RFC 9110, section 5.6.6, writes them.
MEDIA_TYPE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*"
    r"(?:[ \t]*;[ \t]*[A-Za-z0-9!#$&^_.+-]+=(?:[A-Za-z0-9!#$&^_.+-]+|\"[ !#-\[\]-~]*\"))*"
)
# Characters that turn the direction of writing: `invoice\u202efdp.exe` would be shown as invoiceexe.pdf.
TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Room:
    """How many bytes an organisation's documents hold, and how many they may."""

    stored_bytes: int
    stored_bytes_max: int

    def require(self, size_bytes: int) -> None:
        """Raises Exhausted where there is no room for a document of this size."""
        if self.stored_bytes + size_bytes > self.stored_bytes_max:
            raise Exhausted(
                limit="stored bytes",
                retry_seconds=None,
                reason="STORAGE_QUOTA_REACHED",
                storedBytes=str(self.stored_bytes),
                storedBytesMax=str(self.stored_bytes_max),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What a sender says of a document before its content comes; `size_bytes` 0 and an empty digest are not said."""

    name: DocumentName
    file_name: str
    media_type: str
    size_bytes: int = 0
    sha256: str = ""

    @classmethod
    def announced(
        cls, call: Call, *, name: str, file_name: str, media_type: str, size_bytes: int, sha256: str
    ) -> "Upload":
        """An upload to the caller's organisation; raises Invalid, and Absent for what belongs to another one."""
        if not name:
            raise Invalid("name", "is required on the first message")
        if organisation_of(name) != call.organisation:
            raise Absent(name)
        return cls(
            name=DocumentName(name),
            file_name=checked_file_name(file_name),
            media_type=checked_media_type(media_type),
            size_bytes=size_bytes,
            sha256=sha256,
        )

    @property
    def delivery(self) -> DeliveryName:
        """The delivery that it belongs to."""
        return DeliveryName(self.name.partition("/documents/")[0])

    def admit(
        self, delivery: Delivery, mailbox: Mailbox, room: Room, *, bytes_max: int, documents_max: int
    ) -> "Admission":
        """What may come; raises what there is to refuse before it does."""
        delivery.require_draft()
        mailbox.require_accepted(self.name, self.media_type, self.size_bytes)
        known = document_in(delivery, self.name)
        admission = Admission(self, min(bytes_max, mailbox.document_bytes_max or bytes_max), room, known)
        admission.check(self.size_bytes)
        if known is None:
            delivery.require_place(documents_max=documents_max)
        elif self.sha256 and self.sha256 != known.sha256:
            raise Exists(self.name)
        return admission

    def check_size(self, size_bytes: int, limit: int) -> None:
        """Raises StateForbids where this is more than the mailbox or the mesh takes, Invalid where more than said."""
        if size_bytes > limit:
            raise StateForbids(
                self.name, type="DOCUMENT_TOO_LARGE", description=f"A document has at most {limit} bytes here."
            )
        if self.size_bytes and size_bytes > self.size_bytes:
            raise self._mismatch("size_bytes", f"is {self.size_bytes}, and more arrived")

    def completed(self, *, size_bytes: int, sha256: str, at: datetime) -> Document:
        """The document, its content being here; raises Invalid where that is not what the sender said."""
        if self.size_bytes and size_bytes != self.size_bytes:
            raise self._mismatch("size_bytes", f"is {self.size_bytes}, and {size_bytes} bytes arrived")
        if self.sha256 and sha256 != self.sha256:
            raise self._mismatch("sha256", f"is not {sha256}, that of what arrived")
        return Document(
            name=self.name,
            file_name=self.file_name,
            media_type=self.media_type,
            size_bytes=size_bytes,
            sha256=sha256,
            create_time=at,
        )

    @staticmethod
    def _mismatch(field: str, description: str) -> Invalid:
        return Invalid(Violation(field, description), reason="DIGEST_MISMATCH")


@dataclass(frozen=True, slots=True)
class Admission:
    """An upload whose content may come. One that is there already, `known`, takes no room: more than its bytes are
    another content.
    """

    upload: Upload
    bytes_max: int
    room: Room
    known: Document | None

    def check(self, size_bytes: int) -> None:
        """Raises StateForbids, Invalid, Exhausted or Exists where so many bytes are too many."""
        self.upload.check_size(size_bytes, self.bytes_max)
        if self.known is None:
            self.room.require(size_bytes)
        elif size_bytes > self.known.size_bytes:
            raise Exists(self.upload.name)


def document_in(delivery: Delivery, name: str) -> Document | None:
    """The delivery's document of that name."""
    return next((each for each in delivery.documents if each.name == name), None)


def repeated(delivery: Delivery, document: Document) -> Document | None:
    """The document that is there already, where its content is the same; raises Exists where it is another."""
    known = document_in(delivery, document.name)
    if known is not None and known.sha256 != document.sha256:
        raise Exists(document.name)
    return known


def shown(delivery: Delivery, name: str, organisation: str) -> Document:
    """A document as an organisation may read it; raises Absent."""
    for document in delivery.documents_for(organisation):
        if document.name == name:
            return document
    raise Absent(name)


def checked_file_name(name: str) -> str:
    """The name of a file that every system can store as such: one path segment, and nothing that deceives an eye.

    It is kept composed (NFC), as people type it. Raises Invalid.
    """
    composed = unicodedata.normalize("NFC", name)
    wrong = ""
    if not composed.strip():
        wrong = "is required"
    elif len(composed.encode("utf-8", "surrogatepass")) > FILE_NAME_BYTES_MAX:
        wrong = f"has more than {FILE_NAME_BYTES_MAX} bytes"
    elif composed in {".", ".."} or "/" in composed or "\\" in composed:
        wrong = "is not one path segment"
    elif any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in composed):
        wrong = "contains a control character"
    elif TURNING & set(composed):
        wrong = "contains a character that turns the direction of writing"
    if wrong:
        raise Invalid("file_name", wrong)
    return composed


def checked_media_type(media_type: str) -> str:
    """The media type, what is not known by the type of unknown content; raises Invalid."""
    found = media_type.strip() or MEDIA_TYPE_DEFAULT
    if len(found) > MEDIA_TYPE_LENGTH_MAX:
        raise Invalid("media_type", f"has more than {MEDIA_TYPE_LENGTH_MAX} characters")
    if not MEDIA_TYPE.fullmatch(found):
        raise Invalid("media_type", "is not a media type (RFC 6838)")
    return found
