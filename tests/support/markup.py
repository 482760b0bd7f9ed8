"""What a browser makes of a page: its elements, its text, and whatever in it could run."""

from html.parser import HTMLParser

# Written by a stranger into whatever field takes it: it must come out as these letters and nothing else.
SCRIPT = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
RUNS = {"script", "img", "iframe", "object", "embed", "base", "link", "style"}


class Read(HTMLParser):
    """A page that was read: its text with what stands in fields, and what should not be there."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.runs: list[str] = []
        self.feed(page)
        self.close()

    @property
    def text(self) -> str:
        """All that a person reads, and what the fields hold."""
        return "\n".join(self.said)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element with its attributes."""
        stated = {name: value or "" for name, value in attrs}
        if tag in RUNS and not (tag == "link" and stated.get("rel") == "stylesheet"):
            self.runs.append(tag)
        for name, value in stated.items():
            target = name in ("href", "src", "action", "formaction") and value.lower().startswith(
                ("javascript:", "data:")
            )
            if name.startswith("on") or name == "style" or target:
                self.runs.append(f"{tag} {name}={value}")
        self.said.append(stated.get("value", ""))

    def handle_data(self, data: str) -> None:
        """A text."""
        self.said.append(data)
