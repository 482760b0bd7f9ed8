"""Strategies and measures over the wire: every member reads them, their owner changes them."""

from typing import TYPE_CHECKING

import pytest
from verbund.registry.v1 import strategy_service_pb2 as pb
from verbund.registry.v1.types_pb2 import LocalizedText

from tests.integration.registry.mesh import Member, Mesh
from tests.support.members import TIMEOUT_SECONDS, refused

if TYPE_CHECKING:
    from verbund.sdk.refusals import Refused

NAME = "strategies/gdb"
MEASURE = "strategies/gdb/measures/platz"


def strategy_of(member: Member, strategy_id: str = "gdb", **fields: object) -> pb.Strategy:
    """Records a strategy."""
    strategy = pb.Strategy(title=LocalizedText(de="Gemeinsam Digital: Berlin"), **fields)  # type: ignore[arg-type]
    request = pb.CreateStrategyRequest(strategy_id=strategy_id, strategy=strategy)
    return member.strategies.CreateStrategy(request, timeout=TIMEOUT_SECONDS)


def measure_of(member: Member, measure_id: str = "platz", parent: str = NAME) -> pb.Measure:
    """Records a measure."""
    measure = pb.Measure(title=LocalizedText(de="Smart Space"), type=pb.MEASURE_TYPE_DECENTRAL)
    request = pb.CreateMeasureRequest(parent=parent, measure_id=measure_id, measure=measure)
    return member.strategies.CreateMeasure(request, timeout=TIMEOUT_SECONDS)


def test_every_member_reads_what_one_records(mesh: Mesh) -> None:
    """Strategies and measures are read and listed, in the order of their names, by all."""
    strategies = [strategy_of(mesh.citylab, each, adopted_date="2022-09") for each in ("gdb", "abc")]
    measures = [measure_of(mesh.citylab, each) for each in ("platz", "luft")]
    stub = mesh.stranger.strategies
    assert stub.GetStrategy(pb.GetStrategyRequest(name=NAME)) == strategies[0]
    assert stub.GetMeasure(pb.GetMeasureRequest(name=MEASURE)) == measures[0]
    assert list(stub.ListStrategies(pb.ListStrategiesRequest()).strategies) == [strategies[1], strategies[0]]
    assert list(stub.ListMeasures(pb.ListMeasuresRequest(parent=NAME)).measures) == [measures[1], measures[0]]
    first = stub.ListMeasures(pb.ListMeasuresRequest(parent=NAME, page_size=1))
    second = stub.ListMeasures(pb.ListMeasuresRequest(parent=NAME, page_size=1, page_token=first.next_page_token))
    assert [first.measures[0], second.measures[0]] == [measures[1], measures[0]]
    assert not second.next_page_token


def test_only_the_owner_changes_them(mesh: Mesh) -> None:
    """Another member is told NOT_OWNER with the rule: for update, deletion, and a measure of its own in it."""
    strategy_of(mesh.citylab)
    measure_of(mesh.citylab)
    stub = mesh.stranger.strategies
    title = LocalizedText(de="Anders")
    for call in (
        lambda: stub.UpdateStrategy(pb.UpdateStrategyRequest(strategy=pb.Strategy(name=NAME, title=title))),
        lambda: stub.DeleteStrategy(pb.DeleteStrategyRequest(name=NAME)),
        lambda: measure_of(mesh.stranger, "fremd"),
        lambda: stub.UpdateMeasure(pb.UpdateMeasureRequest(measure=pb.Measure(name=MEASURE, title=title))),
        lambda: stub.DeleteMeasure(pb.DeleteMeasureRequest(name=MEASURE)),
    ):
        with refused("NOT_OWNER") as found:
            call()
        assert found[0].metadata["rule"].startswith("verbund.registry.v1.StrategyService.")


def test_the_owner_changes_them(mesh: Mesh) -> None:
    """An update changes what its mask names, under a new etag; the old one is stale."""
    strategy = strategy_of(mesh.citylab)
    measure = measure_of(mesh.citylab)
    stub = mesh.citylab.strategies
    sent = pb.Strategy(name=NAME, etag=strategy.etag, adopted_date="2022-09")
    request = pb.UpdateStrategyRequest(strategy=sent)
    request.update_mask.paths.append("adopted_date")
    changed = stub.UpdateStrategy(request)
    assert (changed.title, changed.adopted_date) == (strategy.title, "2022-09")
    with refused("STALE"):
        stub.UpdateStrategy(request)
    update = pb.UpdateMeasureRequest(measure=pb.Measure(name=MEASURE, type=pb.MEASURE_TYPE_CENTRAL))
    assert stub.UpdateMeasure(update).type == pb.MEASURE_TYPE_CENTRAL
    assert stub.GetMeasure(pb.GetMeasureRequest(name=MEASURE)).etag != measure.etag


def test_a_strategy_in_use_is_not_deleted(mesh: Mesh) -> None:
    """Measures and projects, also another organisation's, hold a strategy; without them it goes."""
    strategy_of(mesh.citylab)
    measure_of(mesh.citylab)
    stub = mesh.citylab.strategies
    held: list[list[Refused]] = []
    with refused("STATE_FORBIDS") as found:
        stub.DeleteStrategy(pb.DeleteStrategyRequest(name=NAME))
    held.append(found)
    project = mesh.district.create(strategy=NAME, measure=MEASURE)
    with refused("STATE_FORBIDS") as found:
        stub.DeleteMeasure(pb.DeleteMeasureRequest(name=MEASURE))
    held.append(found)
    assert [each[0].metadata["type"] for each in held] == ["HAS_MEASURES", "HAS_PROJECTS"]
    assert project.name not in str(held)
    mesh.district.delete(project.name)
    stub.DeleteMeasure(pb.DeleteMeasureRequest(name=MEASURE))
    stub.DeleteStrategy(pb.DeleteStrategyRequest(name=NAME))
    with refused("NOT_FOUND"):
        stub.GetStrategy(pb.GetStrategyRequest(name=NAME))


def test_what_is_not_there_is_not_found(mesh: Mesh) -> None:
    """Every method that names a strategy or measure answers NOT_FOUND where there is none."""
    stub = mesh.citylab.strategies
    for call in (
        lambda: stub.GetStrategy(pb.GetStrategyRequest(name=NAME)),
        lambda: stub.UpdateStrategy(pb.UpdateStrategyRequest(strategy=pb.Strategy(name=NAME, adopted_date="2022"))),
        lambda: stub.DeleteStrategy(pb.DeleteStrategyRequest(name=NAME)),
        lambda: measure_of(mesh.citylab),
        lambda: stub.ListMeasures(pb.ListMeasuresRequest(parent=NAME)),
        lambda: stub.GetMeasure(pb.GetMeasureRequest(name=MEASURE)),
        lambda: stub.UpdateMeasure(
            pb.UpdateMeasureRequest(measure=pb.Measure(name=MEASURE, type=pb.MEASURE_TYPE_CENTRAL))
        ),
        lambda: stub.DeleteMeasure(pb.DeleteMeasureRequest(name=MEASURE)),
    ):
        with refused("NOT_FOUND"):
            call()


def test_a_name_is_taken_once(mesh: Mesh) -> None:
    """A second strategy or measure of one name is refused, whoever records it."""
    strategy_of(mesh.citylab)
    with refused("ALREADY_EXISTS"):
        strategy_of(mesh.stranger)
    measure_of(mesh.citylab)
    with refused("ALREADY_EXISTS"):
        measure_of(mesh.citylab)


@pytest.mark.parametrize("date", ["2022-13", "2022-02-30", "September 2022"])
def test_a_date_is_one_of_the_calendar(mesh: Mesh, date: str) -> None:
    """A strategy adopted on a day that does not exist is refused."""
    with refused("INPUT_INVALID"):
        strategy_of(mesh.citylab, adopted_date=date)
