"""The reader's copies of the notebooks, which `make lab` opens; the reader's edits are never overwritten."""

import hashlib
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.reader import NotJSONError

from helpers.base.command import relative
from helpers.base.errors import TutorialError
from helpers.base.settings import ROOT
from series import fingerprint, run

FOLDER = ROOT / "my-notebooks"  # beside notebooks/, so that links to ../docs lead to the same files
_MARK = "copied"  # in a copy's metadata: a hash of the cells that it was copied from


def refresh(folder: Path = FOLDER, originals: Path = run.NOTEBOOKS) -> list[str]:
    """Copy what is missing, and what has changed since, unless the reader has edited the copy.

    Returns messages for the reader. Files that came into the folder in another way are kept as they are.

    Raises:
        TutorialError: a copy is not a notebook.
    """
    shutil.copytree(originals / "images", folder / "images", dirs_exist_ok=True)
    told = [_refresh(originals / notebook.name, folder / notebook.name) for notebook in run.notebooks()]
    return [line for line in told if line]


def _refresh(original: Path, copy: Path) -> str:
    notebook = nbformat.read(original, as_version=4)
    cells, told = _cells(notebook), ""
    if copy.exists():
        mine = _read(copy)
        copied = mine.metadata.get(fingerprint.KEY, {}).get(_MARK)
        if copied in (None, cells):
            return ""
        if _cells(mine) != copied:
            return (
                f"{relative(original)} has changed since you copied it, and you have edited your copy, which "
                f"is kept. To get the new one: mv {relative(copy)} {relative(copy.with_suffix('.old.ipynb'))}"
            )
        told = f"{relative(copy)}, which you had not edited, is a new copy: {relative(original)} has changed."
    notebook.metadata.setdefault(fingerprint.KEY, {})[_MARK] = cells
    nbformat.write(notebook, copy)
    return told


def _read(copy: Path) -> NotebookNode:
    try:
        return nbformat.read(copy, as_version=4)
    except NotJSONError:
        name = relative(copy)
        raise TutorialError(f"Reading {name}", "it is not a notebook", f"rm {name}, then make lab") from None


def _cells(notebook: NotebookNode) -> str:
    """A hash of what can be edited: kinds and sources, not outputs.

    Empty cells do not count: Shift-Enter in the last cell adds one.
    """
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells if cell.source.strip()]
    return hashlib.sha256(repr(cells).encode()).hexdigest()
