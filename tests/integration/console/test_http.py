"""The console's one process as it runs: on its socket, without a database."""

import json
import os
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from verbund.console.main import build
from verbund.protos.bundle import bundle
from verbund.serving.settings import ServingSettings
from verbund.serving.worker import Pages, verifier_of

PATHS = [
    "/openapi.json",
    "/protos.zip",
    "/docs",
    "/docs/refusals",
    "/docs/style.css",
    "/docs/verbund.registry.v1.ProjectService",
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Whoever calls the console; nobody has a token here, and no file that it does not need exists."""
    home = tmp_path_factory.mktemp("console")
    directory = Path(os.path.relpath(home))  # a socket's path is short
    settings = ServingSettings(
        issuer="https://127.0.0.1:8443",
        jwks_file=home / "jwks.json",
        revocations_file=home / "revocations.json",
        socket_dir=directory,
        leave_seconds=0.0,
    )
    area = build({"VERBUND_CONSOLE_CACHE_SECONDS": "7"}, verifier_of(settings))
    with Pages(area, settings) as pages:
        pages.take_calls()
        # No gRPC server waits in it for nothing: the one socket is that for HTTP.
        assert [path.name for path in home.iterdir()] == ["console-0.http.sock"]
        transport = httpx.HTTPTransport(uds=str(directory / "console-0.http.sock"))
        with httpx.Client(transport=transport, base_url="http://console") as found:
            yield found


@pytest.mark.parametrize("path", PATHS)
def test_what_is_read_again_is_not_sent_again(client: httpx.Client, path: str) -> None:
    """An ETag for each coding; whoever names it is told that it holds. How long to keep it is a setting."""
    packed, plain = client.get(path), client.get(path, headers={"Accept-Encoding": "identity"})
    assert (packed.status_code, plain.status_code) == (200, 200)
    assert packed.text == plain.text
    assert (packed.headers["content-encoding"], plain.headers.get("content-encoding")) == ("gzip", None)
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["cache-control"] == "public, max-age=7"
    assert packed.headers["vary"] == "Accept-Encoding"
    again = client.get(path, headers={"If-None-Match": packed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == packed.headers["etag"]
    assert client.get(path, headers={"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_head_says_what_get_would(client: httpx.Client, path: str) -> None:
    """The same headers, and no content."""
    read, told = client.get(path), client.head(path)
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["etag"] == read.headers["etag"]
    assert told.headers["content-length"] == read.headers["content-length"]


@pytest.mark.parametrize("path", [*PATHS, "/docs/nothing", "/docs/../openapi.json"])
def test_a_page_loads_nothing_and_runs_nothing(client: httpx.Client, path: str) -> None:
    """Each answer says so to the browser, that there is no such page too."""
    answer = client.get(path)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_unknown_page_leads_back(client: httpx.Client) -> None:
    """404, as a page that has the way to the contents."""
    answer = client.get("/docs/verbund.nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert 'href="/docs"' in answer.text


def test_the_document_is_the_one_that_is_kept(client: httpx.Client) -> None:
    """What is served is what was reviewed, byte for byte."""
    answer = client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content)["openapi"].startswith("3.1.")
    assert answer.content == (files("verbund.console") / "openapi.json").read_bytes()


def test_the_protos_are_those_that_are_exported(client: httpx.Client) -> None:
    """One ZIP, for clients in other languages."""
    answer = client.get("/protos.zip")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(BytesIO(answer.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == dict(bundle())
