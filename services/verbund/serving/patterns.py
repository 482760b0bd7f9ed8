"""What the patterns of the protos ask for, in words: nobody who typed something wrong reads regular expressions."""

import re

# An id, as it stands in names of resources, and what else their patterns are made of.
PARTS = {
    "[a-z]([a-z0-9-]{0,61}[a-z0-9])?": "ID",
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?": "ID",
    "[a-z2-7]{26}": "ID",
    "[.]": ".",
    "|": " or ",
}
READABLE = re.compile(r"[a-zID/. ]+")
URI = "[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
PORT_AND_PATH = URI.partition("+")[2]
OTHERS = {
    "[a-z]([a-z0-9-]{0,61}[a-z0-9])?": (
        "must be 1 to 63 lowercase letters, digits and hyphens, with a letter first and no hyphen last"
    ),
    "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?": (
        "must be 1 to 63 lowercase letters, digits and hyphens, with no hyphen first or last"
    ),
    "[a-z0-9][a-z0-9._-]{0,62}": (
        "must be 1 to 63 lowercase letters, digits, dots, underscores and hyphens, with a letter or a digit first"
    ),
    "([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9])?": (
        "must be a domain in lowercase letters: amt.example for instance"
    ),
    "[0-9a-f]{64}": "must be a SHA-256 in hexadecimal: 64 of the characters 0-9 and a-f",
    "[0-9]{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?": (
        "must be a year, a month or a day: 2026, 2026-03 or 2026-03-15"
    ),
    "[a-z0-9][a-z0-9!#$&^_.+-]*/([*]|[a-z0-9][a-z0-9!#$&^_.+-]*)": (
        "must be a media type in lowercase letters: application/pdf or image/* for example"
    ),
    f"https://{URI}$|^http://(127[.]0[.]0[.]1|\\[::1\\]){PORT_AND_PATH}": (
        "must be an address that begins with https://, or with http://127.0.0.1 or http://[::1] for this machine"
    ),
    "https://[!-~]+": "must be an address that begins with https:// and has no spaces",
    "https?://": "must begin with https:// or http://",
    "[!-~]*": "must have no spaces, and no characters but those of ASCII",
    r"\P{C}*": "must have no line breaks and no other invisible characters",
}
EMPTY = "^$|"


def words_of(pattern: str) -> str | None:
    """What a text must be to match `pattern`; None for a pattern that nobody has put into words."""
    wanted = pattern.removeprefix(EMPTY).removeprefix("^").removesuffix("$")
    said = OTHERS.get(wanted) or form_of(wanted)
    return said.replace("must ", "must be empty, or ", 1) if said and pattern.startswith(EMPTY) else said


def form_of(wanted: str) -> str | None:
    """The form of the resources' names that match; None where it is no pattern of names."""
    form = wanted.removeprefix("(").removesuffix(")") if wanted.startswith("(") else wanted
    for part, word in PARTS.items():
        form = form.replace(part, word)
    if not READABLE.fullmatch(form):
        return None
    return f"must look like {form}, where an ID has lowercase letters, digits and hyphens"
