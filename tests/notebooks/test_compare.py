"""`pytest --nbval notebooks/`: for a picture the words are compared, for everything else all of it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers.base.settings import ROOT
from series.run import NOTEBOOKS

BIN = Path(sys.executable).parent
SHOWS = "display({'image/svg+xml': '<svg/>', 'text/plain': 'WORDS'}, raw=True)"


def cell(source: str, output_type: str, **shown: object) -> nbformat.NotebookNode:
    return new_code_cell(source, outputs=[new_output(output_type, **shown)], execution_count=1)


def test_another_drawing_passes_and_other_words_fail(tmp_path: Path) -> None:
    def committed(words: str) -> dict[str, str]:
        return {"image/svg+xml": "<svg>another</svg>", "text/plain": words}

    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [
        cell(SHOWS, "display_data", data=committed("WORDS")),
        cell(SHOWS, "display_data", data=committed("others")),
        cell("print(1)", "stream", name="stdout", text="1\n"),
        cell("print(1)", "stream", name="stdout", text="2\n"),
    ]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path / "a.ipynb")
    shutil.copy(NOTEBOOKS / "conftest.py", tmp_path)
    argv = [BIN / "pytest", f"-c{ROOT}/pyproject.toml", "--nbval", "-vrN", "--color=no", tmp_path]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    verdicts = re.findall(r"::Cell (\d) (PASSED|FAILED)", done.stdout)
    assert verdicts == [("0", "PASSED"), ("1", "FAILED"), ("2", "PASSED"), ("3", "FAILED")], done.stdout
