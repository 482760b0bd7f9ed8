"""Composes the console: settings -> the OpenAPI document -> pages -> HTTP routes."""

import json
from collections.abc import Mapping
from importlib.resources import files

from verbund import settings as loader
from verbund.console import http
from verbund.console.settings import ConsoleSettings
from verbund.serving.area import Area
from verbund.serving.tokens import TokenVerifier

DOCUMENT = "openapi.json"


def build(environment: Mapping[str, str], verifier: TokenVerifier) -> Area:
    """The console, ready to be served; raises SettingError."""
    settings = loader.load(ConsoleSettings, environment, prefix="VERBUND_CONSOLE_")
    text = (files("verbund.console") / DOCUMENT).read_bytes()
    entities = http.entities_of(json.loads(text), text)
    return Area(
        name="console",
        servicers=(),
        ready=lambda: True,
        http=http.application(entities, verifier, cache_seconds=settings.cache_seconds),
    )
