"""The commands of one step: printed one by one, or, in a notebook, folded if there are many."""

import html
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from helpers.base.tables import Rich
from helpers.base.waiting import Line

BY_HAND = "equivalent commands"
_MANY = 4  # commands; more are folded, however long their lines are
_steps: list["_Step"] = []  # the one that runs, if any


class _Step:
    def __init__(self) -> None:
        self.texts: list[str] = []
        self.progress = Line("commands run")

    def add(self, command: str, answer: str) -> None:
        self.texts.append("\n".join(filter(None, (command, answer))))
        words = " ".join(command.split()[:3])
        self.progress.say(f"{len(self.texts)}, most recently {words}")

    def show(self) -> None:
        self.progress.end()
        text = "\n".join(self.texts)
        if len(self.texts) <= _MANY:
            print(text, end="\n" if text else "")
            return
        from IPython.display import display

        title = f"{len(self.texts)} {BY_HAND}"
        body = f"<pre>{html.escape(text, quote=False)}</pre>"
        display(Rich(f"{title}\n{text}", html=f"<details><summary>{title}</summary>{body}</details>"))


@contextmanager
def step() -> Iterator[None]:
    """A notebook shows the commands printed inside it at its end, folded if there are many; also a decorator.

    Until then a line that updates says how many are done.
    """
    if _steps or not type(sys.stdout).__module__.startswith("ipykernel"):
        yield
        return
    _steps.append(_Step())
    try:
        yield
    finally:
        _steps.pop().show()


def show(command: str, answer: str = "") -> None:
    """Print a command that changed something, with its answer; within a step, at the step's end."""
    if _steps:
        _steps[-1].add(command, answer)
    else:
        print("\n".join(filter(None, (command, answer))))
