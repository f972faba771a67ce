"""Progress of long work: one line that updates on a terminal, plain lines in a log."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

EVERY = 20  # seconds between two lines of a log


class Progress:
    """Where progress is reported."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Work of unknown length: reports its start and how long it took."""
        start = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(what):
                yield
        else:
            self.say(f"{what} …")
            yield
        self.say(f"{what}: {_clock(time.monotonic() - start)}")

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Callable[[str], None]]:
        """Work of `total` pieces. Yields a function to call with each finished piece's name."""
        start = time.monotonic()
        if self.console.is_terminal:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
            )
            with Bars(*columns, TimeElapsedColumn(), console=self.console, transient=True) as bars:
                task = bars.add_task(what, total=total)
                yield lambda piece: bars.update(task, advance=1, description=f"{what[:40]} · {piece[-40:]}")
        else:
            self.say(f"{what} …")
            yield self._lines(total, start)
        self.say(f"{what}: {_clock(time.monotonic() - start)}")

    def _lines(self, total: int, start: float) -> Callable[[str], None]:
        done, last = 0, start

        def advance(piece: str) -> None:
            nonlocal done, last
            done += 1
            if time.monotonic() - last >= EVERY:
                last = time.monotonic()
                self.say(f"  {_clock(last - start)}  {done} of {total}, now {piece}")

        return advance


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
