"""What the routes of the sign-on take and answer: fragments for the OpenAPI document, by the names of the rules."""

from typing import Any

Fragment = dict[str, Any]
FORM = "application/x-www-form-urlencoded"
TEXT: Fragment = {"type": "string"}
KEY: Fragment = {"type": "string", "minLength": 43, "maxLength": 43, "description": "Of the page that was shown."}
DECISION: Fragment = {"type": "string", "enum": ["allow", "deny"]}
HTML: Fragment = {"text/html": {"schema": TEXT}}


def page(description: str) -> Fragment:
    """An answer that a person reads."""
    return {"description": description, "content": HTML}


def refused(description: str, **more: Any) -> Fragment:
    """A page, or where the gateway refuses with the same status, a Status."""
    status = {"application/json": {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}}}
    return {"description": description, "content": HTML | status, **more}


def parameter(name: str, description: str) -> Fragment:
    """A parameter of a query."""
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string", "maxLength": 2048}}


def form(*names: str, required: tuple[str, ...] = (), **known: Fragment) -> Fragment:
    """The form of one of our pages, or a request as a form; `known` says more of a field."""
    properties: Fragment = dict.fromkeys(names, TEXT) | known
    fields = {"type": "object", "properties": properties} | ({"required": [*required]} if required else {})
    return {"required": True, "content": {FORM: {"schema": fields}}}


WAYS: Fragment = {
    "303": {"description": "The way on: to the client, to the provider of the person's organisation, or to a page."},
    "400": refused("The request cannot be answered: a page says why, and nobody is sent anywhere."),
    "403": refused("It came from another site, or the person's provider does not vouch for them."),
    "413": refused("The request is larger than a form needs to be."),
    "415": refused("The body is no form."),
    "500": refused("A fault of the mesh."),
    "503": refused(
        "The mesh, or the provider of the person's organisation, is away: the page says who, and when to try again."
    ),
}
REQUEST: list[Fragment] = [
    parameter("client_id", "The client: a system's name."),
    parameter("redirect_uri", "Where the answer goes: one of the client's registered addresses."),
    parameter("response_type", "`code`."),
    parameter("scope", "`openid`, with `profile` and `email` where the client needs them."),
    parameter("state", "Comes back as it was."),
    parameter("nonce", "Comes back in the ID token."),
    parameter("code_challenge", "The SHA-256 of the verifier, base64url (RFC 7636)."),
    parameter("code_challenge_method", "`S256`."),
    parameter("prompt", "`none`, `login`, `consent` or `select_account`."),
    parameter("max_age", "How long ago the person may have signed in, in seconds."),
    parameter("login_hint", "An organisation's name or the person's e-mail address, where one is known."),
    parameter("ui_locales", "The languages that the person reads."),
]
USERINFO: Fragment = {
    "type": "object",
    "properties": {"sub": TEXT, "name": TEXT, "email": TEXT},
    "required": ["sub"],
}
OPERATIONS: dict[str, Fragment] = {
    "identity.signon.metadata": {
        "summary": "Reads what the OpenID provider offers",
        "description": "The metadata of OpenID Connect Discovery 1.0.",
        "responses": {
            "200": {
                "description": "The metadata.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/oauth.Metadata"}}},
            },
        },
    },
    "identity.signon.style": {
        "summary": "Reads the style sheet of the sign-on's pages",
        "responses": {"200": {"description": "The style sheet.", "content": {"text/css": {"schema": TEXT}}}},
    },
    "identity.signon.authorize": {
        "summary": "Signs a person on",
        "description": "A browser is sent here (OpenID Connect Core 1.0, section 3.1.2). PKCE is required.",
        "parameters": REQUEST,
        "requestBody": form(*(each["name"] for each in REQUEST)),
        "responses": {"200": page("The person is asked for their organisation, or for consent."), **WAYS},
    },
    "identity.signon.choose": {
        "summary": "Takes the choice of an organisation",
        "description": "The form of our own page.",
        "requestBody": form("provider", "search", "email", "ui_locales", required=("form",), form=KEY),
        "responses": {"200": page("The choice once more."), **WAYS},
    },
    "identity.signon.callback": {
        "summary": "Takes the answer of an organisation's provider",
        "parameters": [
            parameter("code", "What the provider gives for an ID token."),
            parameter("state", "What binds the answer to the browser and the request."),
            parameter("iss", "Who answers (RFC 9207)."),
            parameter("error", "That the person was not signed in."),
        ],
        "responses": {"200": page("The person is asked for consent."), **WAYS},
    },
    "identity.signon.consent": {
        "summary": "Takes a person's consent",
        "description": "The form of our own page.",
        "requestBody": form("ui_locales", required=("form", "decision"), form=KEY, decision=DECISION),
        "responses": WAYS,
    },
    "identity.signon.userinfo": {
        "summary": "Reads who a person is",
        "description": "For the access token of a sign-on; as much as its scope covers, while the session goes on.",
        "responses": {
            "200": {"description": "The claims.", "content": {"application/json": {"schema": USERINFO}}},
            "401": {"description": "The token is missing, or good for nothing any more."},
            "500": {"description": "A fault of the mesh."},
            "503": {"description": "A part of the mesh is not reachable at the moment."},
        },
    },
    "identity.signon.leave": {
        "summary": "Signs a person out",
        "description": "A browser is sent here (OpenID Connect RP-Initiated Logout 1.0).",
        "parameters": [
            parameter("id_token_hint", "An ID token of the session. Without it the person is asked."),
            parameter("client_id", "The client."),
            parameter("post_logout_redirect_uri", "One of the client's registered addresses."),
            parameter("state", "Comes back as it was."),
            parameter("ui_locales", "The languages that the person reads."),
        ],
        "requestBody": form("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "confirmed"),
        "responses": {"200": page("The person is asked whether they want that."), **WAYS},
    },
    "identity.signon.refused": {
        "summary": "Says once more why a person was not signed in",
        "description": "Where the language link of such a page leads. Nothing is done once more.",
        "parameters": [
            parameter("about", "What the page says, as its own link has it."),
            parameter("ui_locales", "The languages that the person reads."),
        ],
        "responses": {each: WAYS[each] for each in WAYS if each != "303"},
    },
    "identity.signon.left": {
        "summary": "Says that a person is signed out",
        "parameters": [parameter("ui_locales", "The languages that the person reads.")],
        "responses": {"200": page("The person is signed out."), **WAYS},
    },
}
