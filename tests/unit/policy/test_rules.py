"""Rules are read from the descriptors, and a method without one is an error."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from verbund.policy import catalogue
from verbund.policy.roles import PERMISSIONS_OF, permissions_of, roles_holding
from verbund.policy.table import PolicyError, Rule, path_of, rules_of
from verbund.policy.v1 import policy_pb2 as pb
from verbund.resources.names import OrganisationName
from verbund.serving.authorisation import check
from verbund.serving.call import Principal
from verbund.serving.refusals import Forbidden


def rule(**stated: object) -> Rule:
    """A rule for members, changed as stated."""
    usual: dict[str, object] = {
        "name": "test.rule",
        "permission": "registry.projects.read",
        "audience": pb.AUDIENCE_MEMBER,
        "least_assurance": pb.ASSURANCE_LOW,
        "rate": pb.RATE_READ,
    }
    return Rule(**(usual | stated))  # type: ignore[arg-type]


def principal(*roles: str, assurance: int = pb.ASSURANCE_LOW) -> Principal:
    """A caller with roles."""
    return Principal(
        subject="s", organisation=OrganisationName("organisations/a"), roles=frozenset(roles), assurance=assurance
    )


def test_every_method_of_the_mesh_has_a_rule() -> None:
    """The table covers each method exactly once."""
    methods = {path_of(m) for services in catalogue.AREAS.values() for s in services for m in s.methods}
    assert set(catalogue.rules()) == methods


def test_a_method_without_a_rule_is_an_error_that_names_it() -> None:
    """Whoever adds an RPC learns what is missing."""
    file = descriptor_pb2.FileDescriptorProto(name="ruleless.proto", package="ruleless", syntax="proto3")
    file.message_type.add(name="Empty")
    file.service.add(name="Lawless").method.add(name="Do", input_type=".ruleless.Empty", output_type=".ruleless.Empty")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    with pytest.raises(PolicyError, match=r"ruleless\.Lawless\.Do has no rule"):
        rules_of([pool.FindServiceByName("ruleless.Lawless")])


@pytest.mark.parametrize(
    "stated",
    [
        {"name": ""},
        {"audience": pb.AUDIENCE_UNSPECIFIED},
        {"rate": pb.RATE_UNSPECIFIED},
        {"permission": ""},
        {"audience": pb.AUDIENCE_PUBLIC},
        {"audience": pb.AUDIENCE_SIGNED_IN},
    ],
)
def test_a_rule_that_contradicts_itself_is_an_error(stated: dict[str, object]) -> None:
    """A rule for members names a permission; one for everybody does not."""
    with pytest.raises(PolicyError):
        rule(**stated)


def test_the_name_is_the_methods_unless_stated() -> None:
    """What a refusal shows can be looked up."""
    found = catalogue.rules()["/verbund.registry.v1.ProjectService/GetProject"]
    assert found.name == "verbund.registry.v1.ProjectService.GetProject"
    assert found.safe_to_retry


def test_roles_and_permissions_agree_both_ways() -> None:
    """The gateway asks for roles, the services for permissions: both read one table."""
    for role, permissions in PERMISSIONS_OF.items():
        assert permissions_of(frozenset({role})) == permissions
        assert all(role in roles_holding(permission) for permission in permissions)
    assert permissions_of(frozenset({"nobody"})) == frozenset()
    assert roles_holding("nothing.at.all") == frozenset()


def test_a_rule_lets_in_whom_it_means() -> None:
    """Permission, audience and assurance each keep somebody out."""
    check(rule(), principal("viewer"))
    check(rule(permission="", audience=pb.AUDIENCE_SIGNED_IN), principal())
    operator = rule(permission="identity.organisations.create", audience=pb.AUDIENCE_OPERATOR)
    check(operator, principal("operator"))
    for refused, caller in (
        (rule(), principal()),
        (rule(permission="registry.projects.update"), principal("viewer")),
        (rule(audience=pb.AUDIENCE_OPERATOR), principal("viewer")),
    ):
        with pytest.raises(Forbidden) as caught:
            check(refused, caller)
        assert (caught.value.reason, caught.value.metadata["rule"]) == ("PERMISSION_MISSING", "test.rule")
    with pytest.raises(Forbidden) as caught:
        check(rule(least_assurance=pb.ASSURANCE_HIGH), principal("viewer", assurance=pb.ASSURANCE_SUBSTANTIAL))
    assert caught.value.metadata == {"rule": "test.rule", "leastAssurance": "high"}


def test_the_descriptor_set_is_complete_and_in_order() -> None:
    """Each file comes after those it imports, and the details of refusals are among them."""
    seen: set[str] = set()
    for file in catalogue.descriptor_set().file:
        assert set(file.dependency) <= seen, file.name
        seen.add(file.name)
    assert {"google/rpc/error_details.proto", "verbund/errors/v1/reason.proto"} <= seen
