"""The pages of the sign-on: plain HTML without script, readable at any width, by keyboard and by screen reader."""

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlencode

from verbund.identity.routes import AUTHORIZE_PATH, LOGOUT_PATH, REFUSED_PATH, SIGNED_OUT_PATH
from verbund.identity.signon.choices import ADDRESS_LENGTH_MAX
from verbund.identity.signon.domain import Choice, Unanswerable
from verbund.identity.signon.outcomes import Choose, Consent
from verbund.identity.signon.texts import TEXTS, Texts
from verbund.openid import pages
from verbund.openid.requests import Pairs

STYLE_PATH = "/oauth2/style.css"
KEPT_OF_SIGN_OUT = ("post_logout_redirect_uri", "client_id", "state", "ui_locales")


def choose(texts: Texts, asked: Choose, *, action: str, search: str, email: str) -> str:
    """Asks where the person signs in: by an address, or by one of the organisations that fit what was typed."""
    fitting = [choice for choice in asked.choices if fits(choice, search)]
    shown = fitting or asked.choices
    missing = f'<p role="status">{escape(texts.found_none)}</p>' if search and not fitting else ""
    several = len({choice.organisation for choice in shown}) < len(shown)
    items = "".join(f"<li>{button(choice, several=several)}</li>" for choice in shown)
    hidden = hidden_fields(texts, asked)
    said = texts.found.get(asked.found.name) if asked.found else None
    content = f"""<h1>{escape(texts.choose)}</h1>
<p>{escape(texts.choose_text)}</p>
{address_form(texts, said, hidden, action=action, email=email)}
<form method="post" action="{escape(action)}" role="search">
{hidden}
<label for="search">{escape(texts.search)}</label>
<input id="search" name="search" type="search" value="{escape(search)}" maxlength="200" autocomplete="organization">
<div class="buttons"><button type="submit" class="second">{escape(texts.search_submit)}</button></div>
</form>
{missing}
<form method="post" action="{escape(action)}">
{hidden}
<h2 id="organisations">{escape(texts.organisations)}</h2>
<ul class="choices" aria-labelledby="organisations">{items}</ul>
</form>"""
    return document(texts, texts.choose, content, language_links(texts, AUTHORIZE_PATH, asked.request.parameters()))


def address_form(texts: Texts, said: str | None, hidden: str, *, action: str, email: str) -> str:
    """Asks for an address; it is posted, so that it stands in no URL. `said` is what was wrong with the one before."""
    problem = f'<p id="email-said" role="status">{escape(said)}</p>' if said else ""
    marked = ' aria-invalid="true" autofocus' if said else ""
    described = "email-said email-purpose" if said else "email-purpose"
    return f"""<form method="post" action="{escape(action)}" novalidate>
{hidden}
<label for="email">{escape(texts.email)}</label>
{problem}
<input id="email" name="email" type="email" value="{escape(email)}" maxlength="{ADDRESS_LENGTH_MAX}"
 autocomplete="email" autocapitalize="none" spellcheck="false" required aria-describedby="{described}"{marked}>
<p id="email-purpose">{escape(texts.email_purpose)}</p>
<div class="buttons"><button type="submit">{escape(texts.email_submit)}</button></div>
</form>"""


def hidden_fields(texts: Texts, asked: Choose | Consent) -> str:
    """What a form says of the page that it stands on: of which request it is, and in which language."""
    stated = {"form": asked.form, "ui_locales": texts.language}
    return "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in stated.items())


def fits(choice: Choice, search: str) -> bool:
    """Whether every word that was typed stands in the organisation's name, somewhere."""
    stated = f"{choice.title} {choice.provider_title} {choice.organisation}".casefold()
    return all(word in stated for word in search.casefold().split())


def button(choice: Choice, *, several: bool) -> str:
    """One organisation; with the provider's title where one organisation has several."""
    title = f"{choice.title}: {choice.provider_title}" if several else choice.title
    return f'<button type="submit" name="provider" value="{escape(choice.provider)}">{escape(title)}</button>'


def language_links(texts: Texts, path: str, parameters: Mapping[str, str]) -> str:
    """The same page in another language."""
    links = ""
    for other in TEXTS.values():
        if other is not texts:
            target = f"{path}?{urlencode({**parameters, 'ui_locales': other.language})}"
            language = other.language
            links += f'<a href="{escape(target)}" lang="{language}" hreflang="{language}">{escape(other.name)}</a>'
    return f'<nav aria-label="{escape(texts.languages)}">{links}</nav>'


def consent(texts: Texts, asked: Consent, *, action: str) -> str:
    """Asks whether a member may know who the person is."""
    heading = texts.consent.format(client=asked.party.title)
    explained = texts.consent_text.format(client=asked.party.title, organisation=asked.party.organisation_title)
    items = "".join(f"<li>{escape(texts.consent_items[name])}</li>" for name in asked.request.scope)
    content = f"""<h1>{escape(heading)}</h1>
<p>{escape(explained)}</p>
<ul>{items}</ul>
<form method="post" action="{escape(action)}">
{hidden_fields(texts, asked)}
<div class="buttons">
<button type="submit" name="decision" value="allow">{escape(texts.allow)}</button>
<button type="submit" name="decision" value="deny" class="second">{escape(texts.deny)}</button>
</div>
</form>"""
    return document(texts, heading, content, language_links(texts, AUTHORIZE_PATH, asked.request.parameters()))


def sign_out(texts: Texts, pairs: Pairs, *, action: str) -> str:
    """Asks whether the person wants to sign out."""
    kept = {name: value for name, value in pairs if name in KEPT_OF_SIGN_OUT}
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in kept.items()
    )
    content = f"""<h1>{escape(texts.sign_out)}</h1>
<p>{escape(texts.sign_out_question)}</p>
<form method="post" action="{escape(action)}">
{hidden}
<input type="hidden" name="confirmed" value="yes">
<div class="buttons"><button type="submit">{escape(texts.sign_out_submit)}</button></div>
</form>"""
    return document(texts, texts.sign_out, content, language_links(texts, LOGOUT_PATH, kept))


def signed_out(texts: Texts) -> str:
    """Says that the session has ended."""
    content = f"""<h1>{escape(texts.signed_out)}</h1>
<p>{escape(texts.signed_out_text)}</p>
<p><a href="/">{escape(texts.again)}</a></p>"""
    return document(texts, texts.signed_out, content, language_links(texts, SIGNED_OUT_PATH, {}))


def refusal(texts: Texts, refused: Unanswerable, trace: str, *, about: str) -> str:
    """Says what cannot be done, who can mend it, and when to try again; nobody is sent anywhere.

    `about` is what a link to the same page has.
    """
    said = texts.refusals[refused.reason].format(who=refused.who)
    retry = texts.retry.format(seconds=refused.retry_seconds) if refused.retry_seconds else ""
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in (said, retry) if text)
    content = f"""<h1>{escape(texts.cannot)}</h1>
{paragraphs}
<p><a href="/">{escape(texts.again)}</a></p>
<details><summary>{escape(texts.details)}</summary><p>{escape(texts.trace.format(trace=trace))}</p></details>"""
    return document(texts, texts.cannot, content, language_links(texts, REFUSED_PATH, {"about": about}))


def document(texts: Texts, title: str, content: str, navigation: str = "") -> str:
    """A whole page."""
    return pages.document(
        language=texts.language,
        title=f"{title} | Verbund",
        style=STYLE_PATH,
        stage="Verbund",
        content=content,
        navigation=navigation,
    )


def sources(choices: Sequence[Choice]) -> str:
    """Where the forms of the choice may lead: providers are at https, and more is known of them only when asked."""
    return "https:" if choices else ""
