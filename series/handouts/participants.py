"""Notebooks for a workshop's participants: no outputs, no solutions, a cell to fill in for each exercise."""

import ast
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from series.handouts.chapter import ANSWERS

ANSWER = re.compile(rf"<details>\s*<summary>\s*({'|'.join(ANSWERS)})\s*</summary>(.*?)</details>", re.S)
CODE = re.compile(r"```python\n(.*?)```", re.S)
TO_FILL_IN = "# your code here"


def write_all(notebooks: Sequence[Path], images: Path, out: Path) -> None:
    """The participants' copies, with the pictures that they show."""
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
    return _without_answers(cell)


def _without_answers(cell: Any) -> list[Any]:
    """The cell without its answers; below each exercise there is a cell to fill in."""
    asked: list[Any] = []
    start, text = 0, ""
    for number, answer in enumerate(ANSWER.finditer(cell.source), 1):
        text += cell.source[start : answer.start()].rstrip()
        start = answer.end()
        if answer[1].startswith("Solution"):
            name = f"{cell.id}-{number}"
            asked.append(new_markdown_cell(text.strip(), id=name))
            asked.append(_to_fill_in(text, answer[2], f"{name}-answer"))
            text = ""
    if rest := (text + cell.source[start:]).strip():
        asked.append(new_markdown_cell(rest, id=cell.id))
    return asked


def _to_fill_in(question: str, solution: str, name: str) -> Any:
    """A cell for the answer; Jupyter's "Run All" goes on after it, whether it is filled in or not."""
    asserts = _asserts(question, "\n".join(CODE.findall(solution)))
    source = "\n\n".join([TO_FILL_IN, "\n".join(asserts)]) if asserts else TO_FILL_IN
    return new_code_cell(source, id=name, metadata={"tags": ["raises-exception"]})


def _asserts(question: str, code: str) -> list[str]:
    """The solution's last assertions, where the question names (in `code`) the variables that they check."""
    body = ast.parse(code).body
    assigned = {
        n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    found: list[str] = []
    while body and isinstance(last := body.pop(), ast.Assert):
        checked = {n.id for n in ast.walk(last) if isinstance(n, ast.Name)} & assigned
        if checked and checked <= set(re.findall(r"`(\w+)`", question)):
            found.insert(0, ast.get_source_segment(code, last) or "")
    return found
