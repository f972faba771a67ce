"""The code that a notebook's outputs came from: a hash of the code and of the notebook's own cells."""

import ast
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from helpers.base import contents
from helpers.base.settings import ROOT

KEY = "tutorial"  # in a notebook's metadata: see stamp
_FUNCTION = "lambda/*"
_MANIFEST = re.compile(r"manifests/\w+/[\w-]+\.yaml")


def code_files(cells: Iterable[str], root: Path = ROOT) -> list[Path]:
    """The files that the outputs of these cells can depend on.

    These are the helpers that they import, directly or not, the manifests that they or these name, and the
    function. The notebooks of the article count, too: what they made is what those beyond it use.
    """
    texts = [*cells, *_cells_of_the_article(root)]
    found = {path for path in root.glob(_FUNCTION) if path.is_file()}
    while texts:
        text = texts.pop()
        named = {root / name for name in _MANIFEST.findall(text)}
        new = {path for path in named | _modules(text, root) if path.is_file()} - found
        found |= new
        texts += [path.read_text(encoding="utf-8") for path in new if path.suffix == ".py"]
    return sorted(found)


def _cells_of_the_article(root: Path) -> Iterator[str]:
    for number in contents.ARTICLE:
        notebook = nbformat.read(root / "notebooks" / f"{contents.NOTEBOOKS[number]}.ipynb", as_version=4)
        yield from _code(notebook)


def _code(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def _modules(text: str, root: Path) -> set[Path]:
    """The files of what a Python text imports from helpers."""
    named = {root.joinpath(*name.split(".")[:length]) for name in _imported(text) for length in range(1, 6)}
    return {file for path in named for file in (path.with_suffix(".py"), path / "__init__.py")}


@functools.cache
def _imported(text: str) -> frozenset[str]:
    """Names of modules of helpers, and of what is imported from them, which may be modules."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "helpers":
            found |= {f"{node.module}.{name.name}" for name in node.names}
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.partition(".")[0] == "helpers"}
    return frozenset(found)


def of(notebook: NotebookNode, root: Path = ROOT) -> str:
    """The SHA-256 of the code that this notebook runs, in hexadecimal digits."""
    cells = _code(notebook)
    files = [(str(path.relative_to(root)), path.read_bytes()) for path in code_files(cells, root)]
    return hashlib.sha256(repr((files, cells)).encode()).hexdigest()


def stamp(notebook: NotebookNode, run: str, seconds: list[float]) -> None:
    """Record where the notebook's outputs come from: code, run of the series, seconds of each code cell."""
    notebook.metadata[KEY] = {"code": of(notebook), "run": run, "seconds": seconds}


def flaws(notebooks: list[NotebookNode]) -> list[str]:
    """Why these are not the outputs of one clean run of the present code; empty if they are.

    A clean run numbers the cells from 1 without a gap and ends in no error. Those beyond the article can be
    from runs of their own, as each can be run alone.
    """
    found, runs = [], set()
    for notebook in notebooks:
        title = notebook.cells[0].source.splitlines()[0].lstrip("# ")
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        outputs = [output for cell in code for output in cell.outputs]
        made = notebook.metadata.get(KEY, {})
        if made.get("code") != of(notebook):
            found.append(f"{title}: the code has changed since")
        if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
            found.append(f"{title}: the cells were not run in order, from a fresh kernel")
        if any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs):
            found.append(f"{title}: it shows an error")
        if title.partition(" ")[0].zfill(2) not in contents.BEYOND:
            runs.add(made.get("run"))
    if len(runs) != 1:
        found.append("the notebooks are from different runs")
    return found
