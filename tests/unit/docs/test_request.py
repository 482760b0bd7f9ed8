"""docs/request.md, and whatever else names a place in the code, names places that exist."""

from pathlib import Path

import pytest

from tests.support.documents import DOCUMENTS, ROOT, anchors, links, names_in, places

REQUEST = ROOT / "docs" / "request.md"


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def test_request_names_every_station() -> None:
    """The story of a request tells where each station is: gateway, serving, servicer, doors, row."""
    told = {path for path, name in places(REQUEST) if name}
    for station in (
        "gateway/verbund_gateway/listener.py",
        "gateway/verbund_gateway/rbac.py",
        "services/verbund/serving/server.py",
        "services/verbund/registry/projects/servicer.py",
        "services/verbund/database/rows.py",
        "services/verbund/registry/projects/store.py",
    ):
        assert station in told


def test_request_names_interceptors_in_their_order() -> None:
    """The story meets the interceptors in the order in which a call does."""
    source = (ROOT / "services/verbund/serving/worker.py").read_text()
    stated = source[source.index("def interceptors_of") :]
    text = REQUEST.read_text()
    names = ("telemetry.py:Telemetry", "translation.py:Refusals", "authentication.py:Authentication", "validation.py:")
    told = [text.index(name) for name in names]
    coded = [stated.index(f"{name}(") for name in ("Telemetry", "Refusals", "Authentication", "Validation")]
    assert told == sorted(told)
    assert coded == sorted(coded)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_places_exist(document: Path) -> None:
    """Every path in the text exists, and every `file:name` is defined there."""
    for path, name in places(document):
        assert (ROOT / path).exists(), f"{path} does not exist"
        if name:
            assert name in names_in(ROOT / path), f"{path} defines no {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    """Every link within the repository leads to a file, and to a heading of it where it names one."""
    for target, anchor in links(document):
        assert target.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(target), f"{target} has no heading #{anchor}"
