"""JSON bodies: a value whose type differs from the model's is a SerializationException."""

from typing import Any

from moto.core.model import Shape

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a String"),
    "blob": ((str,), "a Blob"),
    "timestamp": ((str, int, float), "a Timestamp"),
    "integer": ((int,), "an Integer"),
    "long": ((int,), "a Long"),
    "float": ((int, float), "a Float"),
    "double": ((int, float), "a Double"),
    "boolean": ((bool,), "a Boolean"),
}
_NAMES = {str: "STRING_VALUE", bool: "BOOLEAN_VALUE", int: "NUMBER_VALUE", float: "DECIMAL_VALUE"}


class JsonTypeError(ValueError):
    """With the service's message."""


def check(shape: Shape, value: Any) -> None:
    """Raises JsonTypeError. Members that the model does not know are ignored, as on AWS."""
    if value is None or getattr(shape, "is_document_type", False):
        return
    kind = shape.type_name
    if kind == "structure":
        _expect(isinstance(value, dict), "Unexpected field type")
        for name, member in shape.members.items():  # type: ignore[attr-defined]
            if "location" not in member.serialization:
                check(member, value.get(member.serialization.get("name", name)))
    elif kind == "map":
        _expect(isinstance(value, dict), "Unexpected field type")
        for entry in value.values():
            check(shape.value, entry)  # type: ignore[attr-defined]
    elif kind == "list":
        _expect(isinstance(value, list), "Expected list or null")
        for entry in value:
            check(shape.member, entry)  # type: ignore[attr-defined]
    else:
        _scalar(kind, value)


def _scalar(kind: str, value: Any) -> None:
    _expect(not isinstance(value, dict), "Start of structure or map found where not expected.")
    _expect(not isinstance(value, list), "Start of list found where not expected")
    types, name = _TYPES.get(kind, ((object,), ""))
    fits = isinstance(value, types) and (kind == "boolean" or not isinstance(value, bool))
    _expect(fits, f"{_NAMES[type(value)]} can not be converted to {name}")


def _expect(fits: bool, message: str) -> None:
    if not fits:
        raise JsonTypeError(message)
