"""Tables of what the lab offers of the clouds' APIs: whatever is not in them is refused by its name."""

from collections.abc import Collection, Mapping
from typing import Any


def surplus(given: Mapping[str, Any], offered: Collection[str], within: str = "") -> str | None:
    """The dotted name of a value that is given and not offered; a name that is offered covers what is below.

    What is empty asks for nothing.
    """
    for name, value in given.items():
        path = f"{within}{name}"
        if path in offered or value in ({}, []):
            continue
        parts = [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, dict)]
        if not parts or not any(one.startswith(f"{path}.") for one in offered):
            return path
        for part in parts:
            if found := surplus(part, offered, f"{path}."):
                return found
    return None
