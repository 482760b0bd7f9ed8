"""The sample holds facts with source and date, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.tour import sample

SEED = Path(__file__).resolve().parents[4] / "shared" / "data" / "gdb_seed_facts.json"


@pytest.fixture
def seed() -> Any:
    if not SEED.parent.exists():
        pytest.skip(f"{SEED.parent} does not exist")
    return json.loads(SEED.read_text())


def test_every_pilot_says_what_the_seed_says_and_no_more(seed: Any) -> None:
    """Titles, periods, responsible and partner organisations agree; what the seed does not know is not there."""
    pilots = sample.read().pilots
    assert len(pilots) == len(seed["pilots"])
    for pilot, fact in zip(pilots, seed["pilots"], strict=True):
        content = pilot.content
        stated = json_format.MessageToDict(content)
        assert stated["title"] == fact["title"]
        assert stated.get("period") == fact.get("period")
        assert titles(content, pb.PARTY_ROLE_PUBLIC_AUTHORITY) == (
            [fact["responsible"]] if "responsible" in fact else []
        )
        assert titles(content, pb.PARTY_ROLE_PARTNER) == fact.get("partners", [])
        assert set(stated) <= {"title", "period", "parties", "strategy", "visibility", "sources"}


def titles(content: pb.Project, role: "pb.PartyRole.ValueType") -> list[str]:
    """The parties with a role."""
    return [party.title for party in content.parties if role in party.roles]


def test_the_strategy_and_the_published_aim_are_the_seeds(seed: Any) -> None:
    """The aim is that of the first pilot."""
    read = sample.read()
    assert read.strategy.title.de == seed["strategy"]["title"]["de"]
    assert read.strategy.adopted_date == seed["strategy"]["adopted"]
    assert read.published_aim == seed["pilots"][0]["aim_published"]


def test_other_facts_are_the_seeds_and_name_the_seeds_sources(seed: Any) -> None:
    """Levels, phases, decider and funding; every source is one that the seed lists."""
    packed = json.loads(sample.FILE.read_text("utf-8"))
    assert packed["levels"]["values"] == seed["levels"]
    assert packed["phases"]["values"] == [phase["title"]["de"] for phase in seed["processPhases"]]
    assert packed["decider"]["value"] == seed["decider"]
    assert packed["funding"]["programme"] == seed["funding"]["programme"]
    known = {source.split(" ")[0] for source in seed["sources"]}
    assert {source["uri"] for source in sources_in(packed)} <= known


def test_every_fact_has_a_source_with_a_date() -> None:
    """Nothing is shown without where and when it was read."""
    read = sample.read()
    assert read.strategy.sources
    assert all(pilot.content.sources for pilot in read.pilots)
    assert all(
        source["uri"].startswith("https://") and source["asOf"] == "2026-11" for source in sources_in(sample_file())
    )


def test_what_is_invented_says_so() -> None:
    """The stranger and the systems exist in the sample only."""
    read = sample.read()
    invented = [read.stranger.title, read.stranger.system_title, *(member.system_title for member in read.members)]
    assert all(title.startswith("Example: ") for title in invented)
    assert read.stranger.roles == ("viewer",)


def sample_file() -> Any:
    """The file as it is packed."""
    return json.loads(sample.FILE.read_text("utf-8"))


def sources_in(value: Any) -> list[dict[str, str]]:
    """Every source anywhere in the file."""
    if isinstance(value, list):
        return [source for item in value for source in sources_in(item)]
    if isinstance(value, dict):
        return [*value.get("sources", []), *(source for item in value.values() for source in sources_in(item))]
    return []
