"""The pages of a list by name, as every List of every area gives them."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verbund.registry.v1 import project_service_pb2 as pb
from verbund.resources.pages import Page
from verbund.serving.refusals import Invalid

CITYLAB = "organisations/citylab"


@dataclass(frozen=True)
class Named:
    """A resource."""

    name: str


def read(names: list[str], request: pb.ListProjectsRequest) -> tuple[list[str], str]:
    """A page and the token of the next, from a table with these names."""
    page = Page.asked(request, CITYLAB)
    found = [Named(name) for name in sorted(names) if name > page.after][: page.limit]
    return [each.name for each in page.shown(found)], page.next_token(found)


@given(st.sets(st.text("abc", min_size=1, max_size=4), max_size=20), st.integers(1, 7))
def test_pages_hold_every_name_once_and_in_order(names: set[str], size: int) -> None:
    """However long the list is, and also where it ends with a full page; no page is empty but that of an empty list."""
    request = pb.ListProjectsRequest(page_size=size)
    seen: list[str] = []
    while True:
        shown, request.page_token = read([*names], request)
        assert shown or not names
        assert len(shown) <= size
        seen += shown
        if not request.page_token:
            break
    assert seen == sorted(names)


def test_a_token_is_of_one_list_and_one_organisation() -> None:
    """What another organisation, or another filter, was given is refused."""
    request = pb.ListProjectsRequest(page_size=1)
    _, token = read(["a", "b"], request)
    assert Page.asked(pb.ListProjectsRequest(page_token=token), CITYLAB).after == "a"
    with pytest.raises(Invalid):
        Page.asked(pb.ListProjectsRequest(page_token=token), "organisations/other")
    with pytest.raises(Invalid):
        Page.asked(pb.ListProjectsRequest(page_token=token, filter="status = ACTIVE"), CITYLAB)
