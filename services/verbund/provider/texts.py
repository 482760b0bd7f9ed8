"""What the pages say, in the languages of the sample, and which language somebody reads."""

from collections.abc import Mapping
from dataclasses import dataclass

LANGUAGES = ("de", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The texts of one language. `{…}` is filled in by the page."""

    language: str
    name: str  # of the language, in itself
    languages: str
    stage: str
    sign_in: str
    purpose: str
    notice: str
    username: str
    password: str
    submit: str
    cancel: str
    failed: str
    wrong: str
    wait: str
    check: str
    error: str
    sign_out: str
    sign_out_question: str
    sign_out_submit: str
    signed_out: str
    signed_out_text: str
    cannot: str
    refusals: Mapping[str, str]


GERMAN = Texts(
    language="de",
    name="Deutsch",
    languages="Sprache",
    stage="Verbund, Probebetrieb",
    sign_in="Anmelden bei: {organisation}",
    purpose="Mit diesem Konto Ihrer Organisation nutzen Sie Verbund.",
    notice="Dies ist ein Probebetrieb mit erfundenen Personen. Die genannte Organisation betreibt diesen Dienst nicht. "
    "Die Namen und Passwörter der Beispielpersonen stehen in der Datei ready.json im Datenverzeichnis von Verbund.",
    username="Benutzername",
    password="Passwort",  # noqa: S106 - a label
    submit="Anmelden",
    cancel="Abbrechen",
    failed="Die Anmeldung ist nicht gelungen",
    wrong="Benutzername oder Passwort sind falsch. Bitte geben Sie beides noch einmal ein.",
    wait="Es gab zu viele Versuche. Bitte warten Sie {seconds} Sekunden und versuchen Sie es dann noch einmal.",
    check="Zum Feld {field}",
    error="Fehler: ",
    sign_out="Abmelden bei: {organisation}",
    sign_out_question="Möchten Sie sich bei Ihrer Organisation abmelden?",
    sign_out_submit="Abmelden",
    signed_out="Sie sind abgemeldet",
    signed_out_text="Sie können dieses Fenster schließen.",
    cannot="Das geht so nicht",
    refusals={
        "client": "Die Anwendung, die Sie hierher geschickt hat, ist diesem Anmeldedienst nicht bekannt. "
        "Beheben kann das, wer die Anwendung betreibt: Deren client_id muss verbund sein.",
        "redirect_uri": "Die Anwendung möchte Sie an eine Adresse zurückschicken, die hier nicht erlaubt ist. "
        "Beheben kann das, wer die Anwendung betreibt: Erlaubt sind Adressen dieses Rechners (127.0.0.1 oder [::1]).",
        "form": "Dieses Formular ist zu alt oder wurde schon benutzt. "
        "Gehen Sie zurück zur Anwendung und beginnen Sie dort noch einmal.",
        "malformed": "Die Anfrage ist nicht lesbar. Gehen Sie zurück zur Anwendung und beginnen Sie dort noch einmal.",
        "large": "Die Anfrage ist zu groß. Gehen Sie zurück zur Anwendung und beginnen Sie dort noch einmal.",
        "fault": "Der Anmeldedienst hat einen Fehler gemacht. Bitte versuchen Sie es noch einmal.",
    },
)

ENGLISH = Texts(
    language="en",
    name="English",
    languages="Language",
    stage="Verbund, trial",
    sign_in="Sign in to: {organisation}",
    purpose="With this account of your organisation you use Verbund.",
    notice="This is a trial with invented people. The organisation named here does not run this service. "
    "The names and passwords of the example people stand in the file ready.json in Verbund's data directory.",
    username="User name",
    password="Password",  # noqa: S106 - a label
    submit="Sign in",
    cancel="Cancel",
    failed="You are not signed in",
    wrong="The user name or the password is wrong. Please enter both again.",
    wait="There were too many attempts. Please wait {seconds} seconds, then try again.",
    check="Go to the field {field}",
    error="Error: ",
    sign_out="Sign out of: {organisation}",
    sign_out_question="Do you want to sign out of your organisation?",
    sign_out_submit="Sign out",
    signed_out="You are signed out",
    signed_out_text="You may close this window.",
    cannot="This does not work",
    refusals={
        "client": "The application that sent you here is not known to this sign-in service. "
        "Whoever runs the application can mend this: its client_id must be verbund.",
        "redirect_uri": "The application wants to send you back to an address that is not allowed here. "
        "Whoever runs the application can mend this: allowed are addresses on this machine (127.0.0.1 or [::1]).",
        "form": "This form is too old, or was used before. Go back to the application and start again there.",
        "malformed": "The request cannot be read. Go back to the application and start again there.",
        "large": "The request is too large. Go back to the application and start again there.",
        "fault": "The sign-in service made a mistake. Please try again.",
    },
)

TEXTS = {"de": GERMAN, "en": ENGLISH}


def texts_for(ui_locales: str, accept_language: str) -> Texts:
    """The language that the application asks for, or that the browser prefers; German where neither says one."""
    wanted = [*ui_locales.split(), *preferred(accept_language)]
    known = (tag.partition("-")[0].lower() for tag in wanted)
    return next((TEXTS[language] for language in known if language in TEXTS), GERMAN)


def preferred(accept_language: str) -> list[str]:
    """The tags of an Accept-Language header, the preferred first (RFC 9110, section 12.5.4)."""
    weighted = []
    for part in accept_language.split(",")[:16]:
        tag, _, weight = part.partition(";q=")
        try:
            weighted.append((float(weight or 1), tag.strip()))
        except ValueError:
            continue
    weighted.sort(key=lambda pair: -pair[0])
    return [tag for weight, tag in weighted if weight > 0]
