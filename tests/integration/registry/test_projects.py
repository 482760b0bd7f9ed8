"""Projects over the wire: what is recorded is read back, found, changed by its owner, and gone when deleted."""

import pytest
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.registry.v1.types_pb2 import Identifier, LocalizedText, Period

from tests.integration.registry.mesh import Mesh, refused


def test_what_is_recorded_is_read_back(mesh: Mesh) -> None:
    """The answer of CreateProject is what GetProject reads, with owner, name, times and etag set by the registry."""
    created = mesh.citylab.create(
        "hardenbergplatz",
        title=LocalizedText(de="Smart Space Hardenbergplatz"),
        period=Period(start_date="2022-03", end_date="2026-06"),
    )
    assert created.name == "projects/citylab.hardenbergplatz"
    assert created.owner == "organisations/citylab"
    assert created.visibility == pb.VISIBILITY_INTERNAL
    assert created.etag
    assert created.create_time == created.update_time
    assert mesh.citylab.get(created.name) == created


def test_without_an_id_the_registry_chooses_a_readable_one(mesh: Mesh) -> None:
    """Two projects without ids get different names in the owner's namespace."""
    names = {mesh.citylab.create().name for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("projects/citylab.") for name in names)
