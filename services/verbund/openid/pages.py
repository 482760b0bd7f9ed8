"""The frame of a provider's pages: plain HTML without script, and headers that close it off."""

from html import escape

from starlette.responses import HTMLResponse, Response

from verbund.style.sheets import MARK

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def security_policy(source: str = "") -> str:
    """What a page may load and do. A form's answer redirects to `source`, which browsers hold to form-action."""
    return (
        "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self'{f' {source}' if source else ''}"
    )


def closed_off(content: str, *, source: str, status: int, referrer: str) -> Response:
    """A page with its headers; `referrer` is its Referrer-Policy."""
    own = {"Referrer-Policy": referrer, "Content-Security-Policy": security_policy(source)}
    return HTMLResponse(content, status_code=status, headers=HEADERS | own)


def document(*, language: str, title: str, style: str, stage: str, content: str, navigation: str = "") -> str:
    """A whole page. `content` and `navigation` are HTML, the rest is text; `stage` stands at the top."""
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="stylesheet" href="{style}">
</head>
<body>
<header>
<div class="bar">
<p class="brand">{MARK} {escape(stage)}</p>
{navigation}
</div>
</header>
<main>
{content}
</main>
</body>
</html>
"""
