"""The reader's copies: edits are never lost, and updates are never hidden."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from helpers.base.errors import TutorialError
from helpers.base.settings import ROOT
from series import copies
from series.run import NOTEBOOKS, notebooks

NAME = notebooks()[1].name


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    return Path(shutil.copytree(NOTEBOOKS, tmp_path / "notebooks"))


@pytest.fixture
def mine(originals: Path, tmp_path: Path) -> Path:
    """The folder after a first `make lab`."""
    folder = tmp_path / copies.FOLDER.name
    assert copies.refresh(folder, originals) == []
    return folder


def edit(notebook: Path, text: str) -> None:
    made = nbformat.read(notebook, as_version=4)
    made.cells[0].source += text
    nbformat.write(made, notebook)


def run_all(notebook: Path) -> None:
    """What JupyterLab saves for a reader who runs all cells with Shift-Enter."""
    made = nbformat.read(notebook, as_version=4)
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], 7
    made.cells.append(new_code_cell(execution_count=None))
    nbformat.write(made, notebook)


def test_copies_are_the_notebooks_with_everything_they_link_to(mine):
    for original in notebooks():
        copy = nbformat.read(mine / original.name, as_version=4)
        assert copy.cells == nbformat.read(original, as_version=4).cells
        text = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "markdown")
        for link in re.findall(r"\]\(((?!https?:|#)[^)#]+)", text):
            there = copies.FOLDER / link if link.startswith("..") else mine / link
            assert there.resolve().exists(), link
    assert copies.FOLDER.parent == ROOT


def test_the_readers_edits_are_kept(mine, originals):
    edit(mine / NAME, "\nmy own words")
    before = (mine / NAME).read_text()
    assert copies.refresh(mine, originals) == []
    assert (mine / NAME).read_text() == before


def test_a_newer_notebook_replaces_a_copy_that_was_only_run(mine, originals):
    run_all(mine / NAME)
    edit(originals / NAME, "\nwhat is new")
    [line] = copies.refresh(mine, originals)
    assert NAME in line and "new copy" in line
    assert "what is new" in (mine / NAME).read_text()
    assert copies.refresh(mine, originals) == []


def test_a_newer_notebook_is_reported_if_the_copy_was_edited(mine, originals):
    edit(mine / NAME, "\nmy own words")
    edit(originals / NAME, "\nwhat is new")
    for _ in range(2):
        [line] = copies.refresh(mine, originals)
        assert NAME in line and "To get the new one: mv " in line
        assert "my own words" in (mine / NAME).read_text()
    (mine / NAME).rename(mine / "01-mine.ipynb")
    assert copies.refresh(mine, originals) == []
    assert "what is new" in (mine / NAME).read_text()
    assert "my own words" in (mine / "01-mine.ipynb").read_text()


def test_new_outputs_alone_are_not_an_update(mine, originals):
    run_all(originals / NAME)
    before = (mine / NAME).read_text()
    assert copies.refresh(mine, originals) == []
    assert (mine / NAME).read_text() == before


def test_other_files_are_kept(mine, originals):
    """Such as a participants' notebook."""
    made = nbformat.read(originals / NAME, as_version=4)
    made.metadata = {}
    nbformat.write(made, mine / NAME)
    edit(originals / NAME, "\nwhat is new")
    assert copies.refresh(mine, originals) == []
    assert "what is new" not in (mine / NAME).read_text()


def test_a_file_that_is_not_a_notebook_is_named(mine, originals):
    (mine / NAME).write_text('{"cells": [')
    with pytest.raises(TutorialError, match=rf"{NAME}: it is not a notebook"):
        copies.refresh(mine, originals)
