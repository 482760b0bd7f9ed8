"""Which permissions each role holds. Gateway and services use this one table; tokens carry roles only."""

import functools

READ = frozenset(
    {
        "registry.strategies.read",
        "registry.projects.read",
        "registry.changes.read",
        "identity.organisations.read",
        "exchange.mailboxes.read",
    }
)
# What is under way between organisations, without the documents themselves.
FOLLOW = frozenset({"exchange.deliveries.read"})
EXCHANGE = FOLLOW | {
    "exchange.deliveries.send",
    "exchange.deliveries.receive",
    "exchange.documents.read",
    "exchange.documents.write",
}
WRITE = frozenset(
    f"registry.{resource}.{verb}" for resource in ("strategies", "projects") for verb in ("create", "update", "delete")
)
ADMINISTER = frozenset(
    {
        "identity.organisations.update",
        "identity.systems.create",
        "identity.systems.read",
        "identity.systems.update",
        "identity.systems.suspend",
        "identity.providers.create",
        "identity.providers.read",
        "identity.providers.update",
        "identity.providers.activate",
        "identity.providers.suspend",
        "exchange.mailboxes.create",
        "exchange.mailboxes.update",
    }
)
# Who the people of an organisation are: not for those who run the mesh.
PROTECT = frozenset({"identity.people.read", "identity.people.erase"})
OPERATE = frozenset(
    {
        "identity.organisations.create",
        "identity.organisations.suspend",
        "traces.read",
        "identity.invitations.create",
        "identity.invitations.read",
        "identity.invitations.withdraw",
        "identity.invitations.admit",
    }
)

PERMISSIONS_OF: dict[str, frozenset[str]] = {
    "viewer": READ | FOLLOW,
    "auditor": READ | FOLLOW | {"identity.systems.read"},
    "dpo": READ | FOLLOW | PROTECT | {"identity.systems.read"},
    "caseworker": READ | WRITE | EXCHANGE,
    "approver": READ | WRITE | EXCHANGE,
    "system": READ | WRITE | EXCHANGE,
    "admin": READ | WRITE | EXCHANGE | ADMINISTER | PROTECT,
    "operator": READ | ADMINISTER | OPERATE,
}


@functools.lru_cache(maxsize=1024)  # every call asks; the combinations of roles are few
def permissions_of(roles: frozenset[str]) -> frozenset[str]:
    """Everything that any of the roles may do; an unknown role may nothing."""
    return frozenset().union(*(PERMISSIONS_OF.get(role, frozenset()) for role in roles))


def roles_holding(permission: str) -> frozenset[str]:
    """The roles that hold a permission; empty where none does."""
    return frozenset(role for role, held in PERMISSIONS_OF.items() if permission in held)
