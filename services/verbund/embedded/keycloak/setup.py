"""Brings Keycloak into step with what is wanted: makes what is missing, changes what differs, leaves the rest alone."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from keycloak import KeycloakAdmin

from verbund.embedded.keycloak.credentials import ADMINISTRATOR
from verbund.embedded.keycloak.realms import UPSTREAM, Realm, Representation, user
from verbund.provider.accounts import Accounts
from verbund.provider.sample import Person

TIMEOUT_SECONDS = 60
BROWSER_FLOW = "browser"
REDIRECTOR = "identity-provider-redirector"
MASKED = {"clientSecret"}
# What its administrators write only they may read and write: people cannot raise their own assurance.
UNMANAGED = {"unmanagedAttributePolicy": "ADMIN_EDIT"}
log = structlog.get_logger(__name__)


def connect(url: str, ca: Path, password: str) -> KeycloakAdmin:
    """Keycloak's administration, for the administrator that every Keycloak of ours starts with."""
    return KeycloakAdmin(
        server_url=f"{url}/",
        username=ADMINISTRATOR,
        password=password,
        realm_name="master",
        user_realm_name="master",
        verify=str(ca),
        timeout=TIMEOUT_SECONDS,
    )


def covers(found: Any, wanted: Any) -> bool:
    """Whether what is found says everything that is wanted; it may say more. The order of names means nothing."""
    if isinstance(wanted, Mapping):
        stated = {name: value for name, value in wanted.items() if name not in MASKED}
        return isinstance(found, Mapping) and all(covers(found.get(name), value) for name, value in stated.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and sorted(found) == sorted(wanted)
    return bool(found == wanted)


def merged(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Representation:
    """What is found, with what is wanted in its place: an update without the rest would take it away."""
    nested = {
        name: merged(found[name], value)
        for name, value in wanted.items()
        if isinstance(value, Mapping) and isinstance(found.get(name), Mapping)
    }
    return {**found, **wanted, **nested}


class Setup:
    """Sets one Keycloak up. `changes` says what was done: nothing, where everything stood already."""

    def __init__(self, admin: KeycloakAdmin) -> None:
        self._admin = admin
        self.changes: list[str] = []

    def bring(self, realm: Realm, accounts: Accounts, *, accounts_written: float) -> None:
        """Brings one realm into step. `accounts_written` is when the passwords were made, in seconds since 1970."""
        admin = self._admin
        admin.change_current_realm("master")
        standing = {found["realm"]: found for found in admin.get_realms()}
        self._ensure(
            f"realm {realm.name}",
            standing.get(realm.name),
            realm.realm,
            create=lambda: admin.create_realm(realm.realm),
            update=lambda whole: admin.update_realm(realm.name, whole),
        )
        admin.change_current_realm(realm.name)
        profile = admin.get_realm_users_profile()
        self._ensure("user profile", profile, UNMANAGED, update=admin.update_realm_users_profile)
        self._scope(realm)
        client = self._client(realm)
        self._roles(client, realm.roles)
        if realm.upstream:
            self._upstream(realm.upstream, realm.upstream_mappers)
        for person in realm.people:
            self._person(person, client, accounts.by_username[person.username].password, accounts_written)

    def _ensure(
        self,
        what: str,
        found: Mapping[str, Any] | None,
        wanted: Representation,
        *,
        update: Callable[[Representation], object],
        create: Callable[[], object] | None = None,
    ) -> None:
        """Makes or changes one thing where that is needed, and notes it."""
        if found is None:
            assert create is not None
            create()
            self._note(f"{what} made")
        elif not covers(found, wanted):
            update(merged(found, wanted))
            self._note(f"{what} changed")

    def _note(self, change: str) -> None:
        self.changes.append(change)
        log.info("changed", realm=self._admin.get_current_realm(), what=change)

    def _scope(self, realm: Realm) -> None:
        """The client scope with its claims."""
        admin, name = self._admin, realm.scope["name"]
        standing = admin.get_client_scope_by_name(name)
        if standing is None:
            admin.create_client_scope(realm.scope)
            self._note(f"client scope {name} made")
            return
        mappers = {mapper["name"]: mapper for mapper in standing.get("protocolMappers", ())}
        for mapper in realm.scope["protocolMappers"]:
            found = mappers.get(mapper["name"])
            self._ensure(
                f"claim {mapper['name']}",
                found,
                mapper,
                create=partial(admin.add_mapper_to_client_scope, standing["id"], mapper),
                update=lambda whole: admin.update_mapper_in_client_scope(standing["id"], whole["id"], whole),
            )

    def _client(self, realm: Realm) -> str:
        """The realm's client; its id inside Keycloak."""
        admin, wanted = self._admin, realm.client
        known = admin.get_client_id(wanted["clientId"])
        if known is None:
            known = admin.create_client(wanted)
            self._note(f"client {wanted['clientId']} made")
            return str(known)
        scopes = {"defaultClientScopes", "optionalClientScopes"}  # an update of the client leaves these as they are
        rest = {name: value for name, value in wanted.items() if name not in scopes}
        found = admin.get_client(known)
        self._ensure(
            f"client {wanted['clientId']}", found, rest, update=lambda whole: admin.update_client(known, whole)
        )
        self._default_scopes(known, set(found["defaultClientScopes"]), set(wanted["defaultClientScopes"]))
        return str(known)

    def _default_scopes(self, client: str, found: set[str], wanted: set[str]) -> None:
        ids = {scope["name"]: scope["id"] for scope in self._admin.get_client_scopes()} if found != wanted else {}
        for name in sorted(wanted - found):
            self._admin.add_client_default_client_scope(client, ids[name], {})
            self._note(f"client scope {name} given")
        for name in sorted(found - wanted):
            self._admin.delete_client_default_client_scope(client, ids[name])
            self._note(f"client scope {name} taken")

    def _roles(self, client: str, wanted: Sequence[str]) -> None:
        found = {role["name"] for role in self._admin.get_client_roles(client)}
        for name in wanted:
            if name not in found:
                self._admin.create_client_role(client, {"name": name})
                self._note(f"role {name} made")

    def _upstream(self, wanted: Representation, mappers: Sequence[Representation]) -> None:
        """The provider that this realm sends everybody to, and what it takes over from there."""
        admin, alias = self._admin, wanted["alias"]
        standing = {found["alias"]: found for found in admin.get_idps()}
        self._ensure(
            f"upstream {alias}",
            standing.get(alias),
            wanted,
            create=lambda: admin.create_idp(wanted),
            update=lambda whole: admin.update_idp(alias, whole),
        )
        known = {found["name"]: found for found in admin.get_idp_mappers(alias)}
        for mapper in mappers:
            self._ensure(
                f"what comes from upstream, {mapper['name']},",
                known.get(mapper["name"]),
                mapper,
                create=partial(admin.add_mapper_to_idp, alias, mapper),
                update=lambda whole: admin.update_mapper_in_idp(alias, whole["id"], whole),
            )
        self._redirect()

    def _redirect(self) -> None:
        """Nobody has an account here: the form to sign in with is the upstream's."""
        admin, wanted = self._admin, {"alias": UPSTREAM, "config": {"defaultProvider": UPSTREAM}}
        steps = admin.get_authentication_flow_executions(BROWSER_FLOW)
        step = next(step for step in steps if step.get("providerId") == REDIRECTOR)
        config = step.get("authenticationConfig")
        self._ensure(
            "the way to the upstream",
            admin.get_authenticator_config(config) if config else None,
            wanted,
            create=lambda: admin.create_execution_config(step["id"], wanted),
            update=lambda whole: admin.update_authenticator_config(whole, str(config)),
        )

    def _person(self, person: Person, client: str, password: str, written: float) -> None:
        """An account with its roles and password."""
        admin, wanted = self._admin, user(person)
        found = next(iter(admin.get_users({"username": person.username, "exact": True})), None)
        who = "an account"  # no name of a person stands in a log
        self._ensure(
            who,
            found,
            wanted,
            create=lambda: admin.create_user(wanted),
            update=lambda whole: admin.update_user(whole["id"], whole),
        )
        known = str(found["id"] if found else admin.get_user_id(person.username))
        self._roles_of(known, client, person, who)
        made = [entry["createdDate"] / 1000 for entry in admin.get_credentials(known) if entry["type"] == "password"]
        if not made or max(made) < written:
            admin.set_user_password(known, password, temporary=False)
            self._note(f"{who}: password set")

    def _roles_of(self, known: str, client: str, person: Person, who: str) -> None:
        """Gives the roles that the sample names, and takes others of this client."""
        held = {role["name"]: role for role in self._admin.get_client_roles_of_user(known, client)}
        if set(held) == set(person.roles):
            return
        there = {role["name"]: role for role in self._admin.get_client_roles(client)}
        if missing := [there[name] for name in person.roles if name not in held]:
            self._admin.assign_client_role(known, client, missing)
        if beyond := [role for name, role in held.items() if name not in person.roles]:
            self._admin.delete_client_roles_of_user(known, client, beyond)
        self._note(f"{who}: roles set")
