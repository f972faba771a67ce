"""The things that the series creates, and the phase of each: the words of "what exists now"."""

from dataclasses import dataclass
from typing import Literal

from helpers.base import contents
from helpers.base.contents import object_keys
from helpers.base.tables import Table

Phase = Literal["missing", "creating", "ready", "failed", "unknown"]


@dataclass(frozen=True)
class Part:
    """The phase of a thing, its state in its service's words (or why it failed), and its values."""

    phase: Phase = "missing"
    state: str = ""
    values: tuple[str, ...] = ()


THINGS = {key: thing for key, thing in contents.THINGS.items() if thing.drawn}


class Parts(dict[str, Part]):
    """The phase of each thing; what is not in it does not exist yet."""

    def __missing__(self, key: str) -> Part:
        assert key in THINGS, key
        return Part()

    def all_ready(self, *keys: str) -> bool:
        """Whether all of these exist, and none of them failed."""
        return all(self[key].phase == "ready" for key in keys)

    def paths(self) -> dict[str, bool]:
        """The paths that requests can take; False where something that they need does not exist yet."""
        ingress = self.all_ready("eks/gateway", *object_keys("eks"))
        ends = self.all_ready("gke/sleep", "gke/gateway", "eks/gateway")
        return {
            "internal ALB → Lambda function": self.all_ready("alb", "listeners", "target", "function"),
            "ingress gateway → internal ALB": ingress and self.all_ready("alb", "listeners"),
            "egress gateway → ingress gateway": ends and self.all_ready(*object_keys("gke")),
        }

    def finished(self, here: str) -> set[str]:
        """The notebooks whose work is done, seen from the notebook of that number.

        No state tells whether 06 sent its request: from 06 on, open paths say so.
        """
        made: dict[str, list[bool]] = {}
        for key, thing in THINGS.items():
            started = self[key].phase in ("creating", "ready")
            made.setdefault(thing.notebook, []).append(started if thing.ready else self.all_ready(key))
            if thing.ready:
                made.setdefault(thing.ready, []).append(self.all_ready(key))
        finished = {number for number, done in made.items() if all(done)}
        if here >= "06" and all(self.paths().values()):
            finished.add("06")
        if here == "99" and all(self[key].phase == "missing" for key in THINGS):
            finished.add("99")
        return finished


def creator(key: str, here: str = "") -> str:
    """Which notebook creates a thing, seen from the notebook of that number."""
    number = THINGS[key].notebook
    return "this notebook" if number == here else f"notebook {int(number)}"


def words(parts: Parts, here: str = "") -> str:
    """Everything that the picture shows, as an aligned table."""
    rows = [(thing.name, *_said(parts[key], key, here)) for key, thing in THINGS.items()]
    rows += [
        (f"path {name}", "open" if is_open else "not open yet", "") for name, is_open in parts.paths().items()
    ]
    if parts["alb"].phase != "missing":
        rows.append(("path outside → internal ALB", "closed", "no route to private addresses"))
    return repr(Table(("part", "state", "details"), rows))


def _said(part: Part, key: str, here: str) -> tuple[str, str]:
    if part.phase == "missing":
        return "not yet", creator(key, here)
    if part.phase == "unknown":
        return "not known", "the cluster did not answer"
    new = THINGS[key].notebook == here
    return f"{part.state}, new" if new else part.state, ", ".join(part.values)
