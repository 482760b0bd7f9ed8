"""Looks at pages as people have them: wide, narrow, at 400 % zoom, dark, in forced colours, by keyboard, on paper."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tests.support.documents import ROOT
from tests.support.load import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Locator, Page

SHOTS = ROOT / "build" / "screenshots"
TARGET_PX = 24  # WCAG 2.2, 2.5.8
TABS_MAX = 200


@dataclass(frozen=True)
class Look:
    """How somebody has set their browser up."""

    name: str
    width: int = 1280
    scale: int = 1
    scheme: Literal["light", "dark"] = "light"
    forced: bool = False


WIDE = Look("wide")
# A window of 1280 px at 400 %: 320 px of CSS, each drawn with four.
ZOOMED = Look("zoomed", width=320, scale=4, scheme="dark")
LOOKS = (WIDE, Look("dark", scheme="dark"), Look("narrow", width=320), ZOOMED, Look("forced-colours", forced=True))
IN_ANOTHER_LANGUAGE = (WIDE, ZOOMED)  # where only the words are others

# What can be reached by keyboard and is smaller than 24 px, unless it stands within a sentence, or a circle of 24 px
# around its middle touches no other's.
SMALL_TARGETS = """least => {
    const all = [...document.querySelectorAll("a[href], button, select, textarea, summary, input:not([type=hidden])")];
    const seen = all.map(each => [each, each.getBoundingClientRect()])
        .filter(([each, box]) => box.width && box.right > 0 && !each.closest("details:not([open]) > :not(summary)"));
    const middle = box => [box.x + box.width / 2, box.y + box.height / 2];
    const away = (one, other) => {
        const [x, y] = middle(one);
        const dx = Math.max(other.left - x, 0, x - other.right), dy = Math.max(other.top - y, 0, y - other.bottom);
        const round = Math.hypot(dx, dy) >= least / 2;
        const small = Math.min(other.width, other.height) < least;
        const [a, b] = middle(other);
        return round && (!small || Math.hypot(x - a, y - b) >= least);
    };
    const inSentence = each => [...each.parentNode.childNodes]
        .some(node => node !== each && node.textContent.trim() && getComputedStyle(each).display === "inline");
    return seen.filter(([each, box]) => Math.min(box.width, box.height) < least && !inSentence(each)
        && !seen.every(([other, its]) => other === each || away(box, its))).map(([each]) => each.outerHTML);
}"""

# As readers set their browsers up who need more room to read (WCAG 2.2, 1.4.12).
ROOMY = """() => {
    const sheet = new CSSStyleSheet();
    const all = "line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important";
    sheet.replaceSync(`* { ${all} } p { margin-bottom: 2em !important }`);
    document.adoptedStyleSheets = [sheet];
}"""

# What on paper is grey or white on white, what can only be clicked, and links that lead elsewhere without saying where.
ON_PAPER = r"""() => {
    const style = (each, part) => getComputedStyle(each, part);
    const all = [...document.querySelectorAll("body *")].filter(each => each.getClientRects().length);
    const sum = colour => (colour.match(/[\d.]+/g) || []).slice(0, 3).reduce((one, other) => one + +other, 0);
    const told = all.filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.textContent.trim()));
    const pale = told.filter(each => sum(style(each).color) > 300);
    const grey = all.filter(each => ![0, 765].includes(sum(style(each).backgroundColor)));
    const useless = all.filter(each => each.matches("button, input, select, textarea, header nav, .skip, .leave"));
    const silent = all.filter(each => each.matches("main a[href^=http]")
        && !style(each, "::after").content.includes(each.getAttribute("href")));
    const ground = sum(style(document.documentElement).backgroundColor) === 765 ? [] : [document.documentElement];
    return [...pale, ...grey, ...useless, ...silent, ...ground].map(each => each.outerHTML.slice(0, 200));
}"""
PAPER_PX = 680  # A4 without its margins

# Where the focus is: whether it can be seen, and whether it came after where it was before.
FOCUS = """() => {
    const here = document.activeElement, style = getComputedStyle(here), box = here.getBoundingClientRect();
    const before = window.before, around = here === window.first;
    window.before = here;
    window.first ??= here;
    return around || here === document.body ? null : {
        html: here.outerHTML.slice(0, 200),
        outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        shown: box.width > 0 && box.right > 0 && box.left < innerWidth && box.bottom > 0 && box.top < innerHeight,
        later: !before || before === here
            || !!(before.compareDocumentPosition(here) & Node.DOCUMENT_POSITION_FOLLOWING),
    };
}"""


def looked_at(page: "Page", name: str, looks: Sequence[Look] = LOOKS) -> None:
    """Fails where somebody meets a barrier on the page as it is shown; keeps what it looks like."""
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - brings the browser's driver

    SHOTS.mkdir(parents=True, exist_ok=True)
    session = page.context.new_cdp_session(page)
    for look in looks:
        page.emulate_media(
            color_scheme=look.scheme,
            forced_colors="active" if look.forced else "none",
            reduced_motion="reduce" if look.forced else "no-preference",
        )
        settled(page, forced=look.forced)
        where = f"{name}-{look.name}"
        session.send("Emulation.setDeviceMetricsOverride", metrics(look))
        shot(session, where)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{where}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth") <= look.width, where
        assert page.evaluate(SMALL_TARGETS, TARGET_PX) == [], where
        assert moves(page) == [], where
        walked(page, where)
        if look.width < WIDE.width:
            page.evaluate(ROOMY)
            assert page.evaluate("document.documentElement.scrollWidth") <= look.width, f"{where}, with room to read"
            page.evaluate("document.adoptedStyleSheets = []")
    printed(page, session, name)
    session.send("Emulation.clearDeviceMetricsOverride")
    page.emulate_media(color_scheme="light", forced_colors="none", reduced_motion="no-preference")
    session.detach()


def shot(session: "CDPSession", where: str) -> None:
    """Keeps what the page looks like as it is; Playwright's own way would set the window's size back."""
    taken = session.send("Page.captureScreenshot", {"captureBeyondViewport": True})
    (SHOTS / f"{where}.png").write_bytes(base64.b64decode(taken["data"]))


def printed(page: "Page", session: "CDPSession", name: str) -> None:
    """Fails where paper would show what nobody can read or use; keeps the sheet, also from a dark screen."""
    page.emulate_media(media="print", color_scheme="dark", forced_colors="none")
    settled(page, paper=True)
    session.send("Emulation.setDeviceMetricsOverride", metrics(Look("paper", width=PAPER_PX)))
    shot(session, f"{name}-paper")
    found = page.evaluate(ON_PAPER)
    assert found == [], f"{name} on paper: {found}"
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER_PX, f"{name} on paper"
    page.emulate_media(media="screen")


def settled(page: "Page", *, forced: bool = False, paper: bool = False) -> None:
    """Waits until the page is drawn as was asked for: colours that are forced come by way of another process."""
    states = '["(forced-colors: active)", "print"].map(each => matchMedia(each).matches)'
    wait_until(lambda: page.evaluate(states) == [forced, paper], "the browser draws it otherwise", seconds_max=30)


def metrics(look: Look) -> dict[str, Any]:
    """A window as the browser is told of it."""
    return {"width": look.width, "height": 900 // look.scale, "deviceScaleFactor": look.scale, "mobile": False}


def moves(page: "Page") -> list[str]:
    """What moves although the person asked for less of it."""
    found: list[str] = page.evaluate(
        """() => !matchMedia("(prefers-reduced-motion: reduce)").matches ? [] : [...document.querySelectorAll("*")]
        .filter(each => getComputedStyle(each).transitionDuration !== "0s"
            || getComputedStyle(each).animationName !== "none").map(each => each.outerHTML.slice(0, 100))"""
    )
    return found


def walked(page: "Page", where: str) -> None:
    """From the page's start to its end by Tab: each stop can be seen, and comes after the one before."""
    page.evaluate("() => { document.activeElement.blur(); window.before = window.first = null; scrollTo(0, 0); }")
    # The walk begins where the page does, whatever had the focus.
    page.evaluate(
        """() => { document.body.tabIndex = -1; document.body.focus({preventScroll: true});
        document.body.removeAttribute("tabindex"); }"""
    )
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUS)
        if stop is None:
            return
        assert stop["outlined"], f"{where}: nobody sees the focus on {stop['html']}"
        assert stop["shown"], f"{where}: the focus is out of sight on {stop['html']}"
        assert stop["later"], f"{where}: the focus jumps back to {stop['html']}"
    raise AssertionError(f"{where}: the keyboard does not come to the page's end")


def tabbed_to(page: "Page", target: "Locator") -> None:
    """Takes the focus there by Tab alone."""
    wanted = target.element_handle()
    for _ in range(TABS_MAX):
        if page.evaluate("wanted => document.activeElement === wanted", wanted):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {target}")
