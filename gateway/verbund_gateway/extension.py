"""Envoy's typed configuration messages as plain dicts."""

from typing import Any

Config = dict[str, Any]
METADATA = "verbund"  # the namespace of what routes say of themselves in their metadata


def typed(message: str, **fields: Any) -> Config:
    """A message with its type, `message` being its proto name below the package `envoy`."""
    return {"@type": f"type.googleapis.com/envoy.{message}", **fields}


def extension(name: str, message: str, **fields: Any) -> Config:
    """A named extension with its typed configuration."""
    return {"name": name, "typed_config": typed(message, **fields)}


def seconds(value: float) -> str:
    """A duration as JSON writes it."""
    return f"{value:g}s"


def header(key: str, value: str) -> Config:
    """A header that replaces what stood there."""
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
