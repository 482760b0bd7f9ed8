"""A browser's requests, carried to a service behind its Unix socket: its pages as people see them."""

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

# What is between two of them stays there, and the length of a body is told anew.
HOP = ("connection", "content-encoding", "content-length", "host", "transfer-encoding")


def relayed(page: "Page", client: httpx.Client) -> None:
    """Answers everything that the page asks for by this client, who is whoever the client says."""

    def carry(route: "Route") -> None:
        asked = route.request
        found = httpx.URL(asked.url)
        answer = client.request(
            asked.method,
            found.raw_path.decode(),
            headers={name: value for name, value in asked.all_headers().items() if name not in HOP and name[0] != ":"},
            content=asked.post_data_buffer or b"",
        )
        kept = {name: value for name, value in answer.headers.items() if name not in HOP}
        route.fulfill(status=answer.status_code, headers=kept, body=answer.content)

    page.route("**/*", carry)
