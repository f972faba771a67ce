"""The things that the series makes, and how each of them is: the words of "what exists now"."""

from dataclasses import dataclass
from typing import Literal

from helpers.base import contents
from helpers.base.contents import Thing, object_keys
from helpers.base.tables import Table

How = Literal["none", "making", "there", "broken", "unknown"]


@dataclass(frozen=True)
class Part:
    """How a thing is, the same in its service's words (or the reason why it is broken), and its values."""

    how: How = "none"
    state: str = ""
    values: tuple[str, ...] = ()


THINGS = {key: thing for key, thing in contents.THINGS.items() if thing.drawn}


class Parts(dict[str, Part]):
    """How each thing is; what is not in it is not there yet."""

    def __missing__(self, key: str) -> Part:
        assert key in THINGS, key
        return Part()

    def all_there(self, *keys: str) -> bool:
        """Whether all of these exist, and none of them is broken."""
        return all(self[key].how == "there" for key in keys)

    def ways(self) -> dict[str, bool]:
        """Which ways requests can take: True is open; what is missing for the others is not there yet."""
        door = self.all_there("eks/gateway", *object_keys("eks"))
        ends = self.all_there("gke/sleep", "gke/gateway", "eks/gateway")
        return {
            "internal ALB → Lambda function": self.all_there("alb", "listeners", "target", "function"),
            "ingress gateway → internal ALB": door and self.all_there("alb", "listeners"),
            "egress gateway → ingress gateway": ends and self.all_there(*object_keys("gke")),
        }


def words(parts: Parts) -> str:
    """Everything that the picture shows, as an aligned table."""
    rows = [(thing.name, *_said(parts[key], thing)) for key, thing in THINGS.items()]
    rows += [
        (f"way {name}", "open" if is_open else "not open yet", "") for name, is_open in parts.ways().items()
    ]
    if parts["alb"].how != "none":
        rows.append(("way outside → internal ALB", "closed", "no route leads to private addresses"))
    return repr(Table(("thing", "state", "detail"), rows))


def _said(part: Part, thing: Thing) -> tuple[str, str]:
    if part.how == "none":
        return "not yet", f"notebook {thing.notebook} makes it"
    if part.how == "unknown":
        return "not known", "the cluster gave no answer"
    return part.state, ", ".join(part.values)
