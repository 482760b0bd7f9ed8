"""Field masks of updates (AIP-134): which fields a caller changes."""

from collections.abc import Collection

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from verbund.serving.refusals import Invalid, Violation

PATHS_MAX = 100


def paths(mask: FieldMask, message: Message, allowed: Collection[str]) -> list[str]:
    """The paths that an update changes: those of the mask, or where it is empty the allowed ones that are set; `*`
    means all of the first level.
    """
    if list(mask.paths) == ["*"]:
        return [path for path in allowed if "." not in path]
    if not mask.paths:
        given = {field.name for field, _ in message.ListFields()}
        return [path for path in allowed if path in given]
    if len(mask.paths) > PATHS_MAX:
        raise Invalid("update_mask", f"names more than {PATHS_MAX} paths")
    wrong = [path for path in mask.paths if path not in allowed]
    if wrong:
        raise Invalid(
            *[
                Violation("update_mask", f"{path!r} cannot be changed; {', '.join(sorted(allowed))} can")
                for path in wrong
            ]
        )
    return list(dict.fromkeys(mask.paths))


def apply(target: Message, source: Message, chosen: Collection[str]) -> None:
    """Copies the chosen paths from `source` to `target`; what `source` does not set is cleared."""
    for path in chosen:
        copy(target, source, path.split("."))


def copy(target: Message, source: Message, path: list[str]) -> None:
    """Copies one path."""
    for step in path[:-1]:
        target, source = getattr(target, step), getattr(source, step)
    kept = type(source)()
    kept.CopyFrom(source)
    for field, _ in source.ListFields():
        if field.name != path[-1]:
            kept.ClearField(field.name)
    target.ClearField(path[-1])
    target.MergeFrom(kept)
