"""The pages: plain HTML without script, readable at any width, by keyboard and by screen reader (WCAG 2.2, AA)."""

from html import escape
from urllib.parse import urlencode

from verbund.openid import pages
from verbund.provider.authorization import WAIT, Ask
from verbund.provider.requests import USERNAME_LENGTH_MAX
from verbund.provider.sample import Organisation
from verbund.provider.texts import TEXTS, Texts

STYLE_PATH = "/style.css"
PASSWORD_LENGTH_MAX = 256


def login(texts: Texts, organisation: Organisation, ask: Ask, *, action: str, authorize: str) -> str:
    """The login form; with what went wrong, where something did."""
    heading = texts.sign_in.format(organisation=organisation.title[texts.language])
    problem = problem_of(texts, ask)
    marked = ' aria-invalid="true" aria-describedby="problem-text"' if problem else ""
    others = [other for other in TEXTS.values() if other is not texts]
    links = "".join(language_link(other, ask, authorize) for other in others)
    content = f"""{problem}
<h1>{escape(heading)}</h1>
<p>{escape(texts.purpose)}</p>
<form method="post" action="{escape(action)}" novalidate>
<input type="hidden" name="form" value="{escape(ask.form)}">
<label for="username">{escape(texts.username)}</label>
<input id="username" name="username" type="text" value="{escape(ask.username)}" autocomplete="username"
 autocapitalize="none" spellcheck="false" maxlength="{USERNAME_LENGTH_MAX}" required{marked}>
<label for="password">{escape(texts.password)}</label>
<input id="password" name="password" type="password" autocomplete="current-password"
 maxlength="{PASSWORD_LENGTH_MAX}" required{marked}>
<div class="buttons">
<button type="submit">{escape(texts.submit)}</button>
<button type="submit" name="cancel" value="yes" class="second">{escape(texts.cancel)}</button>
</div>
</form>
<p class="notice">{escape(texts.notice)}</p>"""
    navigation = f'<nav aria-label="{escape(texts.languages)}" class="languages">{links}</nav>'
    return document(texts, (texts.error if problem else "") + heading, content, navigation)


def problem_of(texts: Texts, ask: Ask) -> str:
    """What went wrong, at the top and with the focus, so that nobody misses it."""
    if not ask.problem:
        return ""
    said = texts.wait.format(seconds=ask.wait_seconds) if ask.problem == WAIT else texts.wrong
    fields = (("username", texts.username), ("password", texts.password))
    links = "".join(f'<li><a href="#{id_}">{escape(texts.check.format(field=name))}</a></li>' for id_, name in fields)
    return f"""<div class="wrong" role="alert" tabindex="-1" autofocus>
<h2>{escape(texts.failed)}</h2>
<p id="problem-text">{escape(said)}</p>
<ul>{links}</ul>
</div>"""


def language_link(texts: Texts, ask: Ask, authorize: str) -> str:
    """The same request in another language."""
    target = f"{authorize}?{urlencode({**ask.request.parameters, 'ui_locales': texts.language})}"
    language = texts.language
    return f'<a href="{escape(target)}" lang="{language}" hreflang="{language}">{escape(texts.name)}</a>'


def sign_out(texts: Texts, organisation: Organisation, *, form: str, action: str) -> str:
    """Asks whether the person wants to sign out."""
    heading = texts.sign_out.format(organisation=organisation.title[texts.language])
    content = f"""<h1>{escape(heading)}</h1>
<p>{escape(texts.sign_out_question)}</p>
<form method="post" action="{escape(action)}">
<input type="hidden" name="form" value="{escape(form)}">
<div class="buttons"><button type="submit">{escape(texts.sign_out_submit)}</button></div>
</form>"""
    return document(texts, heading, content)


def signed_out(texts: Texts) -> str:
    """Says that the session has ended."""
    content = f"<h1>{escape(texts.signed_out)}</h1><p>{escape(texts.signed_out_text)}</p>"
    return document(texts, texts.signed_out, content)


def refusal(texts: Texts, reason: str) -> str:
    """Says what cannot be done, and who can mend it; nobody is sent anywhere."""
    content = f"<h1>{escape(texts.cannot)}</h1><p>{escape(texts.refusals[reason])}</p>"
    return document(texts, texts.cannot, content)


def document(texts: Texts, title: str, content: str, navigation: str = "") -> str:
    """A whole page."""
    return pages.document(
        language=texts.language,
        title=title,
        style=STYLE_PATH,
        stage=texts.stage,
        content=content,
        navigation=navigation,
    )
