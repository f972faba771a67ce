"""The code that a notebook's outputs came from: a hash of the code and of the notebook's own cells."""

import hashlib
from pathlib import Path

from nbformat import NotebookNode

from helpers.base.settings import ROOT

KEY = "tutorial"  # in a notebook's metadata: see stamp
_CODE = ("helpers/**/*.py", "manifests/**/*.yaml", "lambda/*")


def code_files(root: Path = ROOT) -> list[Path]:
    """The files that an output can depend on: the helpers, the manifests and the function."""
    return sorted(path for pattern in _CODE for path in root.glob(pattern) if path.is_file())


def of(notebook: NotebookNode, root: Path = ROOT) -> str:
    """The SHA-256 of the code that this notebook runs, in hexadecimal digits."""
    files = [(str(path.relative_to(root)), path.read_bytes()) for path in code_files(root)]
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(repr((files, cells)).encode()).hexdigest()


def stamp(notebook: NotebookNode, run: str, seconds: list[float]) -> None:
    """Record where the notebook's outputs come from: code, run of the series, seconds of each code cell."""
    notebook.metadata[KEY] = {"code": of(notebook), "run": run, "seconds": seconds}


def flaws(notebooks: list[NotebookNode]) -> list[str]:
    """Why these are not the outputs of one clean run of the present code; empty if they are.

    A clean run numbers the cells from 1 without a gap and ends in no error.
    """
    found = []
    for notebook in notebooks:
        title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        outputs = [output for cell in code for output in cell.outputs]
        if notebook.metadata.get(KEY, {}).get("code") != of(notebook):
            found.append(f"{title}: the code has changed since")
        if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
            found.append(f"{title}: the cells were not run in order, from a fresh kernel")
        if any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs):
            found.append(f"{title}: it shows an error")
    if len({notebook.metadata.get(KEY, {}).get("run") for notebook in notebooks}) != 1:
        found.append("the notebooks are from different runs")
    return found
