"""The exercises' folded solutions as cells, so that running a notebook runs them too."""

import re
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell

_FOLDED = re.compile(r"<details><summary>Solution</summary>(.*?)</details>", re.S)
_CODE = re.compile(r"```python\n(.*?)```", re.S)


def of(notebook: Path) -> list[str]:
    """The code of each solution, in order; "" if there is none."""
    cells = nbformat.read(notebook, as_version=4).cells
    return [code for cell in cells for code in _solutions(cell)]


def _solutions(cell: Any) -> list[str]:
    if cell.cell_type != "markdown":
        return []
    return ["\n".join(_CODE.findall(text)).rstrip() for text in _FOLDED.findall(cell.source)]


def as_cells(notebook: Path, folder: Path) -> Path:
    """A copy of the notebook, of the same name, with a cell for its solution after each exercise."""
    copy = nbformat.read(notebook, as_version=4)
    cells = []
    for cell in copy.cells:
        codes = [code for code in _solutions(cell) if code]
        cells += [cell, *(new_code_cell(code, id=f"{cell.id}-{n}") for n, code in enumerate(codes, 1))]
    copy.cells = cells
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / notebook.name
    nbformat.write(copy, path)
    return path
