"""Pictures in committed outputs: the image and the words are kept, and nbval compares the words."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from series import run

PROJECT = Path(__file__).parent.parent
SOURCE = f"""import sys
sys.path.insert(0, {str(PROJECT)!r})
from helpers.pictures.svg import Picture
picture = Picture("A title", "What is to be seen")
picture.words = "the words"
picture"""


@pytest.fixture(scope="module")
def committed(tmp_path_factory) -> Path:
    """A notebook with one picture, as `make outputs` leaves it."""
    folder = tmp_path_factory.mktemp("picture")
    notebook = folder / "one.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3"}
    made = new_notebook(cells=[new_code_cell(SOURCE)], metadata={"kernelspec": kernel})
    nbformat.write(made, notebook)
    executed = nbformat.read(run.run(notebook, folder / "run"), as_version=4)
    (cell,) = executed.cells
    assert "text/html" in cell.outputs[0].data
    cell.outputs = run.as_seen(cell.outputs)
    nbformat.write(executed, notebook)
    return notebook


def test_the_image_and_the_words_are_committed(committed):
    (output,) = nbformat.read(committed, as_version=4).cells[0].outputs
    assert set(output.data) == {"image/svg+xml", "text/plain"}


@pytest.mark.parametrize(
    ("true", "other", "passes"),
    [("the words", "the words", True), ("<desc ", "<desc  ", True), ("the words", "other words", False)],
)
def test_another_drawing_is_fine_and_other_words_are_not(committed, tmp_path, true, other, passes):
    notebook = nbformat.read(committed, as_version=4)
    data = notebook.cells[0].outputs[0].data
    for kind, text in data.items():
        data[kind] = text.replace(true, other)
    nbformat.write(notebook, tmp_path / "one.ipynb")
    options = (
        "--nbval",
        "--nbval-current-env",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.notebooks.pictures",
    )
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path / "one.ipynb")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert (done.returncode == 0) is passes, done.stdout
