"""The resources that the clean-up lists."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """A resource of the tutorial that exists, and costs money or blocks a deletion."""

    cloud: str
    kind: str
    name: str
