"""What members write for each other to read."""

import unicodedata

from verbund.serving.refusals import Invalid


def check_text(path: str, text: str, *, lines: bool = False) -> None:
    """Raises Invalid for a control character but, in a text of `lines`, their ends and tabs.

    Others read it, in terminals too, that would obey it; PostgreSQL cannot store U+0000.
    """
    for character in text:
        if unicodedata.category(character) == "Cc" and not (lines and character in "\t\n\r"):
            raise Invalid(path, f"contains the control character U+{ord(character):04X}")
