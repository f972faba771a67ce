"""What the lab offers of AWS: offered.toml. All other operations and parameters are refused by name."""

import tomllib
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

# By boto3's name of the service and by operation: parameters `obeyed` and `kept`, and `filters`.
TABLE: dict[str, dict[str, dict[str, list[str]]]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text()
)


def parameters(service: str, operation: str) -> list[str]:
    """Dotted names; a structure's name without a dot includes all of its members."""
    known = TABLE[service]
    rules = (known[operation], known.get("*", {}))
    return [name for one in rules for kind in ("obeyed", "kept") for name in one.get(kind, [])]


def unoffered(
    service: str, operation: str, given: Mapping[str, Any], tokens: Collection[str] = ()
) -> str | None:
    """The part of a call that the lab does not offer. `tokens` are parameters that SDKs add themselves."""
    if operation not in TABLE[service]:
        return f"{service} {operation}"
    if found := _find_unoffered(given, {*parameters(service, operation), *tokens}):
        return f"the parameter {found} of {service} {operation}"
    filters = TABLE[service][operation].get("filters", [])
    for one in [*given.get("Filters", []), *given.get("Filter", [])]:
        if not any(fnmatchcase(one["Name"], known) for known in filters):
            return f"the filter {one['Name']} of {service} {operation}"
    return None


def _find_unoffered(given: Mapping[str, Any], offered: Collection[str], within: str = "") -> str | None:
    """The dotted name of a value that is given but not offered; an offered name includes everything below it.

    Empty and false values are allowed.
    """
    for name, value in given.items():
        path = f"{within}{name}"
        if path in offered or value in ({}, []) or value is False:
            continue
        parts = [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, dict)]
        if not parts or not any(one.startswith(f"{path}.") for one in offered):
            return path
        for part in parts:
            if found := _find_unoffered(part, offered, f"{path}."):
                return found
    return None
