"""Settings from the environment, validated at start.

Each area declares a frozen dataclass; the field `pool_size: int = 16` under the prefix `VERBUND_IDENTITY_` is the
variable `VERBUND_IDENTITY_POOL_SIZE`.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)
else:
    Settings = TypeVar("Settings")


class SettingError(ValueError):
    """A setting is missing or wrong. The message names the variable and says what it takes."""


def load(kind: type[Settings], environment: Mapping[str, str], *, prefix: str) -> Settings:
    """An instance of `kind` from the variables that start with `prefix`; raises SettingError.

    Rules between fields stand in the dataclass's `__post_init__`, which raises ValueError and names them as a variable
    ends: POOL_SIZE.
    """
    hints = get_type_hints(kind)
    values = {}
    for field in fields(kind):
        variable = prefix + field.name.upper()
        text = environment.get(variable)
        if text is not None:
            values[field.name] = read(variable, text, hints[field.name])
        elif required(field):
            raise SettingError(f"{variable} is not set; it takes {describe(hints[field.name])}")
    try:
        return kind(**values)
    except SettingError:
        raise
    except ValueError as error:
        names = "|".join(field.name.upper() for field in fields(kind))
        raise SettingError(re.sub(rf"\b({names})\b", rf"{prefix}\1", str(error))) from error


def required(field: Field[Any]) -> bool:
    """Whether a field has no default."""
    return field.default is MISSING and field.default_factory is MISSING


def read(variable: str, text: str, kind: Any) -> Any:
    """The value that `text` states for a setting of the type `kind`."""
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if kind in (int, float, str, Path):
            return kind(text)
        if kind == tuple[str, ...]:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if kind in (Path | None, str | None):
            return (Path(text) if kind == (Path | None) else text) if text else None
    except (ValueError, KeyError):
        raise SettingError(f"{variable} takes {describe(kind)}, not {text!r}") from None
    raise SettingError(f"{variable} has a type that settings cannot have: {kind}")


def describe(kind: Any) -> str:
    """What a setting of the type `kind` takes, in words."""
    words = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        Path: "a path",
        Path | None: "a path",
        tuple[str, ...]: "values separated by commas",
    }
    return words.get(kind, "a text")
