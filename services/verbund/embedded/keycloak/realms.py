"""What is to stand in Keycloak: realms, clients, roles, people, and one organisation that is reached through a broker.

The Senate Chancellery's people have their accounts in its realm. Those of the district have theirs in a realm of their
own, as in an authority with a directory of its own, and the realm that the mesh trusts only sends them there.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verbund.embedded.keycloak.settings import KeycloakSettings
from verbund.provider.sample import Organisation, Person

CLIENT = "verbund"
BROKERED = "charlottenburg-wilmersdorf"
UPSTREAM = "haus"  # the alias of the upstream in the brokering realm
UPSTREAM_SUFFIX = f"-{UPSTREAM}"
BROKER = "verbund-broker"  # the brokering realm as the upstream's client; `broker` is a client of Keycloak's own
SCOPE = "verbund"
TOKEN_SECONDS = 900
# How well a person was identified is a trait of the account. Only administrators may write it.
ASSURANCE = "assurance"
AFTER_LOGOUT = "post.logout.redirect.uris"
LOOPBACK = ("http://127.0.0.1/*", "http://[::1]/*")  # any port (RFC 8252, section 7.3)

Representation = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """One realm as it is to stand; representations as Keycloak's administration takes them."""

    realm: Representation
    scope: Representation
    client: Representation
    roles: Sequence[str]
    people: Sequence[Person] = ()
    upstream: Representation | None = None
    """The provider that everybody who signs in here is sent to."""
    upstream_mappers: Sequence[Representation] = field(default=())

    @property
    def name(self) -> str:
        """The realm's name."""
        return str(self.realm["realm"])


def wanted(
    organisations: Sequence[Organisation], settings: KeycloakSettings, *, gateway: str, secret: str
) -> list[Realm]:
    """Every realm; one that is an upstream of another stands before it. `secret` is the broker's."""
    found = []
    for organisation in organisations:
        if organisation.provider_id == BROKERED:
            found += [upstream_of(organisation, settings, secret), brokering(organisation, settings, gateway, secret)]
        else:
            found.append(own(organisation, gateway))
    return found


def own(organisation: Organisation, gateway: str) -> Realm:
    """An organisation whose people have their accounts here."""
    return Realm(
        realm=realm(organisation.provider_id, organisation.title["de"]),
        scope=scope(CLIENT),
        client=mesh_client(gateway),
        roles=roles_of(organisation),
        people=organisation.people,
    )


def upstream_of(organisation: Organisation, settings: KeycloakSettings, secret: str) -> Realm:
    """The district's own: it knows the broker, and nothing of the mesh."""
    back = f"{settings.issuer(organisation.provider_id)}/broker/{UPSTREAM}/endpoint"
    after = {AFTER_LOGOUT: f"{back}/logout_response"}
    return Realm(
        realm=realm(organisation.provider_id + UPSTREAM_SUFFIX, f"{organisation.title['de']}: Anmeldung im Haus"),
        scope=scope(BROKER),
        client=client(BROKER, [back], after) | {"publicClient": False, "secret": secret},
        roles=roles_of(organisation),
        people=organisation.people,
    )


def brokering(organisation: Organisation, settings: KeycloakSettings, gateway: str, secret: str) -> Realm:
    """The realm that the mesh trusts, and that sends people home."""
    return Realm(
        realm=realm(organisation.provider_id, organisation.title["de"]),
        scope=scope(CLIENT),
        client=mesh_client(gateway),
        roles=roles_of(organisation),
        upstream=upstream(organisation, settings, secret),
        upstream_mappers=mappers(roles_of(organisation)),
    )


def roles_of(organisation: Organisation) -> list[str]:
    """The roles that the organisation's people have at home."""
    return sorted({role for person in organisation.people for role in person.roles})


def realm(name: str, title: str) -> Representation:
    """A realm in which nobody registers themselves, and whoever guesses passwords is stopped."""
    return {
        "realm": name,
        "displayName": title,
        "enabled": True,
        "sslRequired": "all",
        "registrationAllowed": False,
        "resetPasswordAllowed": False,
        "rememberMe": False,
        "loginWithEmailAllowed": False,
        "bruteForceProtected": True,
        "accessTokenLifespan": TOKEN_SECONDS,
        "internationalizationEnabled": True,
        "supportedLocales": ["de", "en"],
        "defaultLocale": "de",
    }


def mesh_client(gateway: str) -> Representation:
    """The mesh as the realm's client: public, as it runs on people's machines too, and so with PKCE."""
    uris = [f"{gateway}/oauth2/callback", *LOOPBACK]
    return client(CLIENT, uris, {AFTER_LOGOUT: f"{gateway}/oauth2/signed-out"})


def client(name: str, redirect_uris: Sequence[str], attributes: Mapping[str, str]) -> Representation:
    """A client that signs people in with the authorization code flow and PKCE, and in no other way."""
    return {
        "clientId": name,
        "enabled": True,
        "protocol": "openid-connect",
        "publicClient": True,
        "standardFlowEnabled": True,
        "implicitFlowEnabled": False,
        "directAccessGrantsEnabled": False,
        "serviceAccountsEnabled": False,
        "redirectUris": list(redirect_uris),
        "webOrigins": [],
        "attributes": {"pkce.code.challenge.method": "S256", **attributes},
        # Without Keycloak's own `acr`, which tells how somebody signed in, not how well they were identified.
        "defaultClientScopes": ["basic", "email", "profile", SCOPE],
        "optionalClientScopes": [],
    }


def scope(client_id: str) -> Representation:
    """The claims that the mesh reads of the id token besides those of every provider: `roles` and `acr`."""
    return {
        "name": SCOPE,
        "protocol": "openid-connect",
        "attributes": {"include.in.token.scope": "false", "display.on.consent.screen": "false"},
        "protocolMappers": [
            mapper(
                "roles",
                "oidc-usermodel-client-role-mapper",
                {"usermodel.clientRoleMapping.clientId": client_id, "multivalued": "true"},
            ),
            mapper("acr", "oidc-usermodel-attribute-mapper", {"user.attribute": ASSURANCE}),
        ],
    }


def mapper(claim: str, kind: str, config: Mapping[str, str]) -> Representation:
    """A claim of the id token and of userinfo."""
    places = {"id.token.claim": "true", "access.token.claim": "false", "userinfo.token.claim": "true"}
    return {
        "name": claim,
        "protocol": "openid-connect",
        "protocolMapper": kind,
        "config": {"claim.name": claim, "jsonType.label": "String", **places, **config},
    }


def upstream(organisation: Organisation, settings: KeycloakSettings, secret: str) -> Representation:
    """The district's own provider as the brokering realm knows it."""
    issuer = settings.issuer(organisation.provider_id + UPSTREAM_SUFFIX)
    endpoints = f"{issuer}/protocol/openid-connect"
    return {
        "alias": UPSTREAM,
        "displayName": organisation.title["de"],
        "providerId": "oidc",
        "enabled": True,
        "trustEmail": True,
        "storeToken": False,
        "config": {
            "issuer": issuer,
            "authorizationUrl": f"{endpoints}/auth",
            "tokenUrl": f"{endpoints}/token",
            "userInfoUrl": f"{endpoints}/userinfo",
            "jwksUrl": f"{endpoints}/certs",
            "logoutUrl": f"{endpoints}/logout",
            "useJwksUrl": "true",
            "validateSignature": "true",
            "clientId": BROKER,
            "clientSecret": secret,
            # Keycloak shows a secret to nobody; by this a changed one is noticed.
            "clientSecretDigest": hashlib.sha256(secret.encode()).hexdigest(),
            "clientAuthMethod": "client_secret_basic",
            "defaultScope": "openid profile email",
            "pkceEnabled": "true",
            "pkceMethod": "S256",
            "syncMode": "FORCE",
        },
    }


def mappers(roles: Sequence[str]) -> list[Representation]:
    """What the brokering realm takes over at every sign-in: whoever loses a role at home has lost it here."""
    taken = [
        (role, "oidc-role-idp-mapper", {"claim": "roles", "claim.value": role, "role": f"{CLIENT}.{role}"})
        for role in roles
    ]
    known = [*taken, (ASSURANCE, "oidc-user-attribute-idp-mapper", {"claim": "acr", "user.attribute": ASSURANCE})]
    return [
        {
            "name": name,
            "identityProviderAlias": UPSTREAM,
            "identityProviderMapper": kind,
            "config": {"syncMode": "FORCE", **config},
        }
        for name, kind, config in known
    ]


def user(person: Person) -> Representation:
    """A person's account, without password and roles."""
    first, _, last = person.name.partition(" ")  # Keycloak's `name` is both again
    return {
        "username": person.username,
        "email": person.email,
        "emailVerified": True,
        "enabled": True,
        "firstName": first,
        "lastName": last,
        "attributes": {ASSURANCE: [person.acr]},
    }
