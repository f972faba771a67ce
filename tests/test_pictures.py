"""Pictures in committed outputs: the image and the words are kept, and nbval compares the words."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from series import run
from tests.notebooks.compare import differences

PROJECT = Path(__file__).parent.parent
SOURCE = f"""import sys
sys.path.insert(0, {str(PROJECT)!r})
from helpers.pictures.svg import Picture
picture = Picture("A title", "What is to be seen")
picture.words = "the words"
picture"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> Path:
    """A notebook with one picture, just run."""
    notebook = tmp_path_factory.mktemp("picture") / "one.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3"}
    made = new_notebook(cells=[new_code_cell(SOURCE)], metadata={"kernelspec": kernel})
    nbformat.write(made, notebook)
    return run.run(notebook, notebook.parent / "run")


@pytest.fixture(scope="module")
def committed(executed: Path) -> Path:
    """The same, as `make outputs` leaves it."""
    notebook = nbformat.read(executed, as_version=4)
    (cell,) = notebook.cells
    assert "text/html" in cell.outputs[0].data
    cell.outputs = run.as_seen(cell.outputs)
    nbformat.write(notebook, executed.parent / "committed.ipynb")
    return executed.parent / "committed.ipynb"


def test_the_image_and_the_words_are_committed(committed):
    (output,) = nbformat.read(committed, as_version=4).cells[0].outputs
    assert set(output.data) == {"image/svg+xml", "text/plain"}


@pytest.mark.parametrize(
    ("true", "other", "passes"),
    [("the words", "the words", True), ("<desc ", "<desc  ", True), ("the words", "other words", False)],
)
def test_another_drawing_passes_and_other_words_fail(executed, committed, tmp_path, true, other, passes):
    notebook = nbformat.read(committed, as_version=4)
    data = notebook.cells[0].outputs[0].data
    for kind, text in data.items():
        data[kind] = text.replace(true, other)
    nbformat.write(notebook, tmp_path / "one.ipynb")
    assert (differences(executed, tmp_path / "one.ipynb") == "") is passes
