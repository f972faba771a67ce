"""What the clean-up lists."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """Something of the tutorial that exists, and costs or is in the way."""

    cloud: str
    kind: str
    name: str
