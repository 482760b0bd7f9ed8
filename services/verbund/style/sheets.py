"""The style sheets, one a site, put together from their parts at the start: no build step, and nothing twice.

A page asks for one sheet. `tokens.css` has the colours, the type and the space; `foundation.css` what every page is
made of; the rest what only one site has. `mark.html` stands beside the mesh's name, drawn in the colour of the text.
"""

from importlib.resources import files

PARTS = files("verbund.style")
SHARED = ("tokens.css", "foundation.css")


def sheet(own: str) -> bytes:
    """The whole sheet of a site."""
    return b"\n".join((PARTS / name).read_bytes() for name in (*SHARED, own))


# Read once, before the parts that are forked give their rights up.
CONSOLE = sheet("console.css")
MANUAL = sheet("manual.css")
SIGN_ON = sheet("signon.css")
MARK = (PARTS / "mark.html").read_text("utf-8").strip()
