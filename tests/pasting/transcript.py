"""The output of an executed notebook, parsed as a shell transcript: commands, their answers, their output."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from series.run import as_seen

PROGRAMS = (
    "aws",
    "while aws",
    "gcloud",
    "kubectl",
    "istioctl",
    "curl",
    "openssl",
    "mkdir",
    "cat",
    "rm",
    "printf",
    "touch",
    ".venv/bin/python",
)
_BEGINS = re.compile(rf"(?:{'|'.join(map(re.escape, PROGRAMS))}) \S")
_ANSWER = "# → "


@dataclass
class Step:
    """A printed command, what it returned (`# → …`) and what it printed; `cell` is the source that ran."""

    command: str
    cell: str = ""
    answers: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)


def steps(notebook: Path) -> list[Step]:
    """The commands that an executed notebook shows, in the order of printing."""
    return [
        step
        for cell in nbformat.read(notebook, as_version=4).cells
        if cell.cell_type == "code"
        for step in parse("\n".join(_texts(cell)), cell.source)
    ]


def parse(text: str, cell: str = "") -> list[Step]:
    """The commands in the output of a cell."""
    found: list[Step] = []
    lines = iter(text.split("\n"))
    for line in lines:
        if _BEGINS.match(line):
            while line.endswith("\\"):
                line += "\n" + next(lines, "")
            found.append(Step(line, cell))
        elif found and line.startswith(_ANSWER):
            found[-1].answers.append(line.removeprefix(_ANSWER))
        elif found:
            found[-1].output.append(line)
    return found


def _texts(cell: nbformat.NotebookNode) -> Iterator[str]:
    """Printed text, and folded commands; not what the cell returned, such as a table."""
    for output in as_seen(cell.outputs):
        if output.output_type != "execute_result":
            yield output.get("text") or output.get("data", {}).get("text/plain", "")
