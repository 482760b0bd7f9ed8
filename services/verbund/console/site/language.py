"""German or English: which one a person reads, and the words of the pages in it."""

import json
from collections.abc import Mapping
from importlib.resources import files

from verbund.console.routes import LANGUAGE_COOKIE

LANGUAGES = ("de", "en")
COOKIE_SECONDS = 365 * 24 * 3600

Words = Mapping[str, str]


def read(language: str) -> Words:
    """The words of a language by their keys."""
    text = (files("verbund.console.site") / "words" / f"{language}.json").read_text("utf-8")
    found: dict[str, str] = json.loads(text)
    return found


WORDS: Mapping[str, Words] = {language: read(language) for language in LANGUAGES}


def chosen(asked: str, remembered: str, accepted: str) -> str:
    """The language: the one asked for by `?lang=`, else the remembered one, else the browser's, else German."""
    for language in (asked, remembered, preferred(accepted)):
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


def preferred(accepted: str) -> str:
    """The language of ours that Accept-Language likes most (RFC 9110, section 12.5.4); empty where it names none."""
    weighed = [weighted(part) for part in accepted.lower().split(",")[:20]]
    found = [(weight, language) for language, weight in weighed if language in LANGUAGES and weight > 0]
    return max(found, key=lambda each: each[0])[1] if found else ""


def weighted(part: str) -> tuple[str, float]:
    """A language without its region, and how much it is liked."""
    tag, _, parameter = part.strip().partition(";")
    try:
        weight = float(parameter.strip().removeprefix("q=") or 1)
    except ValueError:
        weight = 0.0
    return tag.strip().partition("-")[0], weight


def cookie(language: str) -> str:
    """Remembers the language; scripts and other sites never see it."""
    return f"{LANGUAGE_COOKIE}={language}; Path=/; Max-Age={COOKIE_SECONDS}; Secure; HttpOnly; SameSite=Lax"
