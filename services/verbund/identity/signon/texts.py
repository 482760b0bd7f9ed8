"""What the pages of the sign-on say, and which language somebody reads."""

from collections.abc import Mapping
from dataclasses import dataclass

LANGUAGES = ("de", "en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The texts of one language. `{…}` is filled in by the page."""

    language: str
    name: str  # of the language, in itself
    languages: str
    choose: str
    choose_text: str
    email: str
    email_purpose: str
    email_submit: str
    found: Mapping[str, str]
    search: str
    search_submit: str
    found_none: str
    organisations: str
    consent: str
    consent_text: str
    consent_items: Mapping[str, str]
    allow: str
    deny: str
    sign_out: str
    sign_out_question: str
    sign_out_submit: str
    signed_out: str
    signed_out_text: str
    again: str
    cannot: str
    retry: str
    details: str
    trace: str
    refusals: Mapping[str, str]


GERMAN = Texts(
    language="de",
    name="Deutsch",
    languages="Sprache",
    choose="Bei welcher Organisation arbeiten Sie?",
    choose_text="Sie melden sich dort an, wo Sie es täglich tun. Verbund erfährt Ihr Passwort nicht.",
    email="Ihre dienstliche E-Mail-Adresse",
    email_purpose="Sie führt zur Anmeldung Ihrer Organisation. Was Sie hier eingeben, wird nicht gespeichert.",
    email_submit="Weiter",
    found={
        "NO_ADDRESS": "Das ist keine E-Mail-Adresse. Eine Adresse sieht so aus: name@amt.example",
        "NOBODY": "Zu dieser Adresse ist keine Organisation bekannt. Wählen Sie Ihre Organisation bitte unten aus.",
        "SEVERAL": "Ihre Organisation hat mehrere Anmeldungen. Wählen Sie bitte unten eine aus.",
    },
    search="Name Ihrer Organisation",
    search_submit="Suchen",
    found_none="Keine Organisation passt dazu. Hier stehen alle.",
    organisations="Organisationen",
    consent="Darf {client} erfahren, wer Sie sind?",
    consent_text="{client} gehört zu: {organisation}. Wenn Sie zustimmen, erfährt die Anwendung:",
    consent_items={
        "openid": "eine Kennung, die nur dort gilt",
        "profile": "Ihren Namen",
        "email": "Ihre E-Mail-Adresse",
    },
    allow="Zustimmen",
    deny="Ablehnen",
    sign_out="Abmelden",
    sign_out_question="Möchten Sie sich abmelden? Das gilt für alle Anwendungen in diesem Browser.",
    sign_out_submit="Abmelden",
    signed_out="Sie sind abgemeldet",
    signed_out_text="Sie können dieses Fenster schließen.",
    again="Zur Startseite",
    cannot="Die Anmeldung ist nicht gelungen",
    retry="Versuchen Sie es in {seconds} Sekunden noch einmal.",
    details="Technische Angaben",
    trace="Vorgangsnummer für die Betreuung: {trace}",
    refusals={
        "client": "Die Anwendung, die Sie hierher geschickt hat, ist nicht bekannt. "
        "Beheben kann das, wer die Anwendung betreibt.",
        "redirect_uri": "Die Anwendung möchte Sie an eine Adresse zurückschicken, die sie nicht angemeldet hat. "
        "Beheben kann das, wer die Anwendung betreibt.",
        "form": "Diese Seite ist zu alt oder wurde schon benutzt. Beginnen Sie bitte noch einmal.",
        "state": "Diese Antwort gehört zu keiner Anmeldung, die in diesem Browser begonnen wurde, oder sie wurde schon "
        "benutzt. Beginnen Sie bitte noch einmal.",
        "home_down": "Der Anmeldedienst dieser Organisation ist zurzeit nicht erreichbar: {who}. "
        "Beheben kann das die IT-Stelle der Organisation.",
        "home_refused": "Der Anmeldedienst dieser Organisation hat die Anmeldung nicht bestätigt: {who}. "
        "Beginnen Sie bitte noch einmal; hilft das nicht, wenden Sie sich an die IT-Stelle der Organisation.",
        "home_denied": "Sie wurden nicht angemeldet bei: {who}. Sie haben abgebrochen, oder Ihre Organisation "
        "lässt die Anmeldung nicht zu. Haben Sie nicht abgebrochen, wenden Sie sich an die IT-Stelle der Organisation.",
        "home_in_trouble": "Der Anmeldedienst dieser Organisation meldet eine Störung: {who}. "
        "Beheben kann das die IT-Stelle der Organisation.",
        "home_misfitting": "Der Anmeldedienst dieser Organisation nimmt Anfragen von Verbund nicht an: {who}. "
        "Noch einmal zu beginnen hilft nicht. Beheben kann das die IT-Stelle der Organisation.",
        "no_role": "Ihr Konto hat keine Rolle in Verbund. Vergeben kann sie die IT-Stelle Ihrer Organisation: {who}.",
        "suspended": "Die Anmeldung über diese Organisation ist zurzeit gesperrt. "
        "Auskunft gibt die IT-Stelle der Organisation.",
        "too_old": "Diese Anwendung verlangt, dass Sie sich gerade eben angemeldet haben. "
        "Melden Sie sich bei Ihrer Organisation ab, und beginnen Sie noch einmal.",
        "nobody": "Noch keine Organisation hat einen Anmeldedienst eingetragen. "
        "Eintragen kann ihn die Verwalterin oder der Verwalter einer Organisation.",
        "origin": "Diese Anfrage kam von einer fremden Seite und wurde nicht ausgeführt.",
        "malformed": "Die Anfrage ist nicht lesbar. Beginnen Sie bitte noch einmal.",
        "unavailable": "Ein Teil von Verbund ist zurzeit nicht erreichbar. Ihre Anmeldung ist nicht verloren.",
        "fault": "Verbund hat einen Fehler gemacht. Bitte versuchen Sie es noch einmal.",
    },
)

ENGLISH = Texts(
    language="en",
    name="English",
    languages="Language",
    choose="Which organisation do you work for?",
    choose_text="You sign in where you do every day. Verbund does not learn your password.",
    email="Your e-mail address at work",
    email_purpose="It leads to your organisation's sign-in. What you type here is not kept.",
    email_submit="Continue",
    found={
        "NO_ADDRESS": "This is no e-mail address. An address looks like this: name@office.example",
        "NOBODY": "No organisation is known for this address. Please choose your organisation below.",
        "SEVERAL": "Your organisation has several sign-ins. Please choose one below.",
    },
    search="Name of your organisation",
    search_submit="Search",
    found_none="No organisation fits. Here are all of them.",
    organisations="Organisations",
    consent="May {client} know who you are?",
    consent_text="{client} belongs to: {organisation}. If you agree, the application learns:",
    consent_items={
        "openid": "an identifier that is valid there only",
        "profile": "your name",
        "email": "your e-mail address",
    },
    allow="Agree",
    deny="Decline",
    sign_out="Sign out",
    sign_out_question="Do you want to sign out? That is for all applications in this browser.",
    sign_out_submit="Sign out",
    signed_out="You are signed out",
    signed_out_text="You can close this window.",
    again="To the start page",
    cannot="You could not be signed in",
    retry="Try again in {seconds} seconds.",
    details="Technical details",
    trace="Trace number for support: {trace}",
    refusals={
        "client": "The application that sent you here is not known. Whoever runs the application can mend that.",
        "redirect_uri": "The application wants to send you back to an address that it has not registered. "
        "Whoever runs the application can mend that.",
        "form": "This page is too old, or was used already. Please begin once more.",
        "state": "This answer belongs to no sign-in that was begun in this browser, or was used already. "
        "Please begin once more.",
        "home_down": "The sign-in service of this organisation cannot be reached at the moment: {who}. "
        "The organisation's IT department can mend that.",
        "home_refused": "The sign-in service of this organisation did not confirm the sign-in: {who}. "
        "Please begin once more; if that does not help, ask the organisation's IT department.",
        "home_denied": "You were not signed in at: {who}. You cancelled, or your organisation does not allow it. "
        "If you did not cancel, ask the organisation's IT department.",
        "home_in_trouble": "The sign-in service of this organisation reports a fault: {who}. "
        "The organisation's IT department can mend that.",
        "home_misfitting": "The sign-in service of this organisation does not take requests of Verbund: {who}. "
        "Beginning once more does not help. The organisation's IT department can mend that.",
        "no_role": "Your account has no role in Verbund. The IT department of your organisation can give one: {who}.",
        "suspended": "Signing in by this organisation is suspended at the moment. Its IT department can say why.",
        "too_old": "This application asks that you signed in just now. "
        "Sign out at your organisation, and begin once more.",
        "nobody": "No organisation has named its sign-in service yet. The administrator of an organisation can.",
        "origin": "This request came from a foreign page, and was not carried out.",
        "malformed": "The request cannot be read. Please begin once more.",
        "unavailable": "A part of Verbund cannot be reached at the moment. Your sign-in is not lost.",
        "fault": "Verbund made a mistake. Please try again.",
    },
)

TEXTS: Mapping[str, Texts] = {texts.language: texts for texts in (GERMAN, ENGLISH)}


def texts_for(ui_locales: str, accept_language: str) -> Texts:
    """The texts in the first language asked for that there is: by the client, else by the browser; else in German."""
    asked = [*ui_locales.split(), *(part.partition(";")[0] for part in accept_language.split(","))]
    for tag in asked:
        found = TEXTS.get(tag.strip().partition("-")[0].lower())
        if found is not None:
            return found
    return GERMAN
