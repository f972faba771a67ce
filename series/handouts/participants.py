"""Notebooks for a workshop's participants: no outputs, no solutions, room for answers."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from series.handouts.chapter import ANSWERS

ANSWER = re.compile(rf"<details>\s*<summary>\s*({'|'.join(ANSWERS)})\s*</summary>(.*?)</details>", re.S)


def write_all(notebooks: Sequence[Path], images: Path, out: Path) -> None:
    """The participants' copies, with what they show beside them."""
    shutil.copytree(images, out / "images", dirs_exist_ok=True)
    for notebook in notebooks:
        write(notebook, out)


def write(notebook: Path, out: Path) -> Path:
    """The participants' copy of a notebook, in the folder `out`; its cells of code are the original's."""
    copy = nbformat.read(notebook, as_version=4)
    copy.metadata = {
        name: copy.metadata[name] for name in ("kernelspec", "language_info") if name in copy.metadata
    }
    copy.cells = [new for cell in copy.cells for new in _cells(cell)]
    target = out / notebook.name
    nbformat.write(copy, target)
    return target


def _cells(cell: Any) -> list[Any]:
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
        return [cell]
    if cell.cell_type != "markdown" or not ANSWER.search(cell.source):
        return [cell]
    return _with_room(cell)


def _with_room(cell: Any) -> list[Any]:
    """The cell without its answers; below each exercise there is an empty cell for one's own."""
    asked: list[Any] = []
    start, text = 0, ""
    for number, answer in enumerate(ANSWER.finditer(cell.source), 1):
        text += cell.source[start : answer.start()].rstrip()
        start = answer.end()
        if answer[1].startswith("Solution"):
            name = f"{cell.id}-{number}"
            asked.append(new_markdown_cell(f"{text.strip()}\n\n*Your answer:*", id=name))
            asked.append(new_code_cell(id=f"{name}-answer"))
            text = ""
    if rest := (text + cell.source[start:]).strip():
        asked.append(new_markdown_cell(rest, id=cell.id))
    return asked
