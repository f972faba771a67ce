"""The exercises' collapsed solutions as cells, so that running a notebook runs them too."""

import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell

_FOLDED = re.compile(r"<details><summary>Solution</summary>(.*?)</details>", re.S)
_CODE = re.compile(r"```python\n(.*?)```", re.S)


def of(notebook: Path) -> list[str]:
    """The code of each solution, in order; "" where one has none."""
    cells = nbformat.read(notebook, as_version=4).cells
    prose = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return ["\n".join(_CODE.findall(text)).rstrip() for text in _FOLDED.findall(prose)]


def as_cells(notebook: Path, folder: Path) -> Path:
    """A copy of the notebook, of the same name, whose cells are followed by its solutions, one cell each."""
    copy = nbformat.read(notebook, as_version=4)
    copy.cells += [new_code_cell(code, id=f"solution-{n}") for n, code in enumerate(of(notebook), 1) if code]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / notebook.name
    nbformat.write(copy, path)
    return path
