"""What every page of the manual has: its head, the way back, and the way to its content without the way there."""

from verbund.console.pages.markup import Markup, element, joined, link
from verbund.style.sheets import MARK

CONTENTS = "/docs"
STYLE = "/docs/style.css"
REFUSALS = "/docs/refusals"


def page(title: str, *content: str) -> bytes:
    """A whole page."""
    head = element(
        "head",
        Markup('<meta charset="utf-8"/>'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1"/>'),
        Markup('<meta name="color-scheme" content="light dark"/>'),
        element("title", f"{title} · Verbund"),
        Markup(f'<link rel="stylesheet" href="{STYLE}"/>'),
    )
    ways = element("nav", element("ul", *(element("li", way) for way in ways_of_all())), aria_label="Manual")
    brand = element("p", Markup(MARK), " Verbund", class_="brand")
    body = element(
        "body",
        element("a", "To the content", href="#content", class_="skip"),
        element("header", element("div", brand, ways, class_="bar")),
        element("main", element("h1", title), *content, id="content", tabindex="-1"),
        element(
            "footer", element("p", "Made from the protos that the mesh runs on. ", link("/openapi.json", "OpenAPI"))
        ),
    )
    return f'<!doctype html>\n<html lang="en">{joined(head, body)}</html>\n'.encode()


def ways_of_all() -> list[Markup]:
    """The links that every page has."""
    return [
        link(CONTENTS, "Contents"),
        link(REFUSALS, "Refusals"),
        link("/openapi.json", "OpenAPI document"),
    ]
