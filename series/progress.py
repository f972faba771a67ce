"""The progress of a run of the series: notebook, step and cell, and how long each took in the lab."""

import re
import time

from nbformat import NotebookNode
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from helpers.base.waiting import progress_lines
from series import fingerprint


def expected(notebook: NotebookNode) -> list[float]:
    """Seconds that each cell took when the committed outputs were created, in the lab; 0 if unknown."""
    known = iter(notebook.metadata.get(fingerprint.KEY, {}).get("seconds", []))
    return [next(known, 0.0) if cell.cell_type == "code" else 0.0 for cell in notebook.cells]


def headings(notebook: NotebookNode) -> list[str]:
    """For each cell the heading above it."""
    current, found = "", []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (titles := re.findall(r"^## (.+)$", cell.source, re.M)):
            current = titles[-1]
        found.append(current)
    return found


class Shown:
    """One line that updates in a terminal; elsewhere, as in CI's log, a plain line for each step."""

    def __init__(self, console: Console, name: str, notebook: NotebookNode) -> None:
        self.console, self.name = console, name
        self.headings, self.expected = headings(notebook), expected(notebook)
        self.code = [cell.cell_type == "code" for cell in notebook.cells]
        self.start = self.step_start = time.monotonic()
        self.step, self._minute = "", 0
        self.bar = Progress(
            TextColumn("{task.fields[name]:<38}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[lab]}  {task.fields[step]}", markup=False),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self.task = self.bar.add_task(
            "", total=sum(self.code), name=name, step="", lab=self._lab(sum(self.expected))
        )

    def __enter__(self) -> "Shown":
        self.bar.start()
        if not self.console.is_terminal:
            self.console.print(
                f"{self.name}: {sum(self.code)} cells{self._lab(sum(self.expected))}", markup=False
            )
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        self._end_step()
        self.bar.stop()
        seconds = f"{time.monotonic() - self.start:.1f} s"
        said = f"failed after {seconds}" if failed else f"{seconds}{self._lab(sum(self.expected))}"
        self.console.print(f"{self.name:<38} {said}", markup=False)

    def cell_begins(self, cell: NotebookNode, cell_index: int) -> None:
        """For nbclient's on_cell_start, which comes for prose too."""
        if self.headings[cell_index] != self.step:
            self._end_step()
            self.step, self.step_start = self.headings[cell_index], time.monotonic()
        self.bar.update(self.task, step=self.step, refresh=True)

    def cell_ends(self, **_: object) -> None:
        """For nbclient's on_cell_executed, which comes for code only."""
        self.bar.update(self.task, advance=1, refresh=True)

    def write(self, text: str) -> None:
        """Output of a cell: once a minute, the terminal shows what it waits for."""
        for line, seconds in progress_lines(text):
            minute, self._minute = self._minute, seconds // 60
            if self._minute > minute:
                self.console.print(f"  {line}", markup=False)

    def flush(self) -> None: ...

    def _end_step(self) -> None:
        code = [i for i, title in enumerate(self.headings) if title == self.step and self.code[i]]
        if code and not self.console.is_terminal:
            seconds = time.monotonic() - self.step_start
            lab = self._lab(sum(self.expected[i] for i in code))
            self.console.print(f"  {self.step}: {seconds:.1f} s{lab}", markup=False)

    def _lab(self, seconds: float) -> str:
        return f" (in our lab {seconds:.1f} s)" if seconds else ""
