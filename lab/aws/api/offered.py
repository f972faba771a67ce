"""What the lab offers of AWS: offered.toml. Every other operation and parameter is refused by its name."""

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from lab.offered import surplus

# By boto3's name of the service and by operation: the parameters that are `obeyed`, and those `kept`.
TABLE: dict[str, dict[str, dict[str, list[str]]]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text()
)


def parameters(service: str, operation: str) -> list[str]:
    """Dotted names; one of a structure without a dot stands for all of its members."""
    known = TABLE[service]
    return [
        name for rules in (known[operation], known.get("*", {})) for names in rules.values() for name in names
    ]


def missing(
    service: str, operation: str, given: Mapping[str, Any], tokens: Collection[str] = ()
) -> str | None:
    """What of a call the lab does not offer. `tokens` are parameters that SDKs send by themselves."""
    if operation not in TABLE[service]:
        return f"{service} {operation}"
    found = surplus(given, {*parameters(service, operation), *tokens})
    return found and f"the parameter {found} of {service} {operation}"
