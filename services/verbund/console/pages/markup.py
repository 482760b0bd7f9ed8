"""HTML as Python functions: what is text is escaped, what is an element stays one, and every element is closed."""

import re
from html import escape

CODE = re.compile(r"`([^`]+)`")


class Markup(str):
    """HTML that is right as it stands."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str) -> Markup:
    """An element. In attributes' names `_` stands for a hyphen, at the end for nothing: `class_`, `aria_label`."""
    stated = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value, quote=True)}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{stated}>{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """Elements and texts, one after the other."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child, quote=False) for child in children))


def link(target: str, *children: str) -> Markup:
    """A link."""
    return element("a", *children, href=target)


def code(text: str) -> Markup:
    """A piece of code within a sentence."""
    return element("code", text)


def sample(text: str, label: str) -> Markup:
    """Lines of code. They may be longer than the screen, so that the keyboard must reach them to move them."""
    return element("pre", code(text), tabindex="0", role="group", aria_label=label)


def prose(text: str) -> Markup:
    """A comment of a proto: paragraphs, lists whose lines begin with a hyphen, code between backticks."""
    return joined(*(block(part) for part in text.split("\n\n") if part.strip()))


def block(text: str) -> Markup:
    """A paragraph, and the list that may follow its first lines."""
    lines = text.strip().splitlines()
    items = [line for line in lines if line.startswith("- ")]
    rest = " ".join(line for line in lines if not line.startswith("- "))
    listed = element("ul", *(element("li", spoken(item.removeprefix("- "))) for item in items)) if items else Markup()
    return joined(element("p", spoken(rest)) if rest else Markup(), listed)


def spoken(text: str) -> Markup:
    """A sentence with code in it."""
    parts = CODE.split(text)
    return joined(*(code(part) if index % 2 else part for index, part in enumerate(parts)))
