"""What the lab offers of Google's APIs: offered.toml. All other fields are refused by name."""

import tomllib
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

# By message: `obeyed` fields are enforced, `kept` fields are stored and shown.
TABLE: dict[str, dict[str, list[str]]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())


def unoffered(message: Message, at: str = "") -> str | None:
    """A field of the message, or of one in it, that the lab does not offer. Empty and false are allowed."""
    kind = message.DESCRIPTOR.name
    offered = [name for names in TABLE[kind].values() for name in names] if kind in TABLE else None
    for field, value in message.ListFields():
        path = f"{at}{field.name}"
        if offered is not None and field.name not in offered and _asks(value):
            return f"the field {path} of {kind}"
        for part in _messages(field, value):
            if found := unoffered(part, f"{path}."):
                return found
    return None


def _asks(value: Any) -> bool:
    return bool(value.ListFields()) if isinstance(value, Message) else value is not False


def _messages(field: Any, value: Any) -> list[Message]:
    if field.message_type is None or field.message_type.GetOptions().map_entry:
        return []
    return list(value) if field.is_repeated else [value]
