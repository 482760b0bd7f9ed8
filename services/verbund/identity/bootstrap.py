"""The mesh's first operator. Everybody after is admitted by an operator through the API."""

from collections.abc import Callable, Sequence

from verbund.clock import Clock, wall_clock
from verbund.database.database import Database
from verbund.identity.leaves import answered
from verbund.identity.organisations import servicer as organisation_servicer
from verbund.identity.organisations.domain import Organisation
from verbund.identity.organisations.store import OrganisationStore
from verbund.identity.systems import jwk
from verbund.identity.systems import servicer as system_servicer
from verbund.identity.systems.domain import OPERATOR, System
from verbund.identity.systems.store import SystemStore
from verbund.resources.names import OrganisationName, SystemName
from verbund.serving.call import Call
from verbund.serving.refusals import Absent

ROLES = (OPERATOR, "admin")


class OperatorExists(Exception):  # noqa: N818 - says what is the case
    """The mesh has another operator already. The message names it."""


def bootstrap(
    database: Database, *, organisation: str, title: str, system: str, public_key: str, clock: Clock = wall_clock
) -> SystemName:
    """Makes the organisation and its operator's system where they do not stand; the name of the system.

    `organisation` and `system` are ids, the last parts of names; `public_key` is the JSON of a public key; `database`
    acts as `identity_jobs`. Repeating it with the same key changes nothing. Raises OperatorExists where an operator
    stands that is not this one, Invalid where the key is none.
    """
    owner = OrganisationName(f"organisations/{organisation}")
    name = SystemName(f"{owner}/systems/{system}")
    key = jwk.parse(public_key, path="public_key")
    systems, organisations = SystemStore(), OrganisationStore()
    call = Call.internal("identity.bootstrap", organisation=owner)
    with database.transaction(call) as tx:
        systems.lock_operators(tx)
        operators = systems.operators(tx)
        if operators:
            refuse_others(operators, name, key.kid)
            return name
        now = clock()
        if not stands(lambda: organisations.find(tx, owner)):
            new = Organisation.admitted(owner, title, at=now)
            organisations.insert(tx, new)
            answered(tx, call, "created", organisation_servicer.to_proto(new), organisation=owner)
        operator = System.registered(name, f"{title}: operator", organisation=owner, roles=ROLES, jwk=key, at=now)
        systems.insert(tx, operator)
        answered(tx, call, "created", system_servicer.to_proto(operator), organisation=owner)
    return name


def refuse_others(operators: Sequence[System], name: SystemName, kid: str) -> None:
    """Raises OperatorExists unless the named system is an operator with that key."""
    for operator in operators:
        if operator.name == name and any(key.jwk.kid == kid for key in operator.keys):
            return
    raise OperatorExists(f"{operators[0].name} runs this mesh; it can admit further operators through the API")


def stands(find: Callable[[], object]) -> bool:
    """Whether there is what `find` finds."""
    try:
        find()
    except Absent:
        return False
    return True
