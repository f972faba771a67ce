"""The committed outputs are those of one clean run of the current code; outdated ones are detected."""

import copy
import shutil

import nbformat
import pytest

from helpers.base import contents
from helpers.base.errors import TutorialError
from helpers.base.settings import ROOT
from series import fingerprint, run

COMMITTED = [nbformat.read(path, as_version=4) for path in run.notebooks()]


def test_the_committed_outputs_are_from_one_clean_run_of_this_code():
    assert fingerprint.flaws(COMMITTED) == [], "make outputs"


@pytest.fixture
def stamped():
    notebooks = copy.deepcopy(COMMITTED)
    for notebook in notebooks:
        fingerprint.stamp(notebook, "one", [])
    assert fingerprint.flaws(notebooks) == []
    return notebooks


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_a_changed_cell_is_detected(stamped):
    code_cells(stamped[3])[1].source += "  # changed"
    (flaw,) = fingerprint.flaws(stamped)
    assert flaw.startswith("3 · ") and "the code has changed" in flaw


def test_prose_can_change(stamped):
    stamped[3].cells[1].source += "\n\nMore words."
    assert fingerprint.flaws(stamped) == []


def test_a_cell_run_twice_is_detected(stamped):
    code_cells(stamped[1])[2].execution_count += 1
    assert "in order" in fingerprint.flaws(stamped)[0]


def test_an_error_is_detected(stamped):
    error = nbformat.v4.new_output("error", ename="TimedOut", evalue="late", traceback=[])
    code_cells(stamped[1])[2].outputs.append(error)
    assert "an error" in fingerprint.flaws(stamped)[0]


def test_a_notebook_of_another_run_is_detected(stamped):
    fingerprint.stamp(stamped[5], "another", [])
    assert fingerprint.flaws(stamped) == ["the notebooks are from different runs"]


def test_outputs_beyond_the_article_can_be_from_separate_runs(stamped, monkeypatch):
    monkeypatch.setattr(contents, "BEYOND", ["05"])
    fingerprint.stamp(stamped[5], "another", [])
    assert fingerprint.flaws(stamped) == []


@pytest.fixture
def project(tmp_path):
    """A copy of what a notebook uses."""
    for folder in ("helpers", "manifests", "lambda", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


USED_BY_ALL = [
    "helpers/curl.py",
    "helpers/base/command.py",
    "manifests/eks/vs-lambda.yaml",
    "lambda/page.html",
]
OWN = ["helpers/load.py", "helpers/pictures/plots.py", "manifests/eks/own.yaml"]


@pytest.mark.parametrize("changed", [*USED_BY_ALL, *OWN])
def test_shared_code_affects_all_notebooks_and_own_code_only_its_notebook(project, changed):
    (project / "manifests/eks/own.yaml").touch()
    own = ["from helpers import load", 'kube.apply("eks", "manifests/eks/own.yaml")']
    beyond = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in own])
    article, before = fingerprint.of(COMMITTED[0], project), fingerprint.of(beyond, project)
    with (project / changed).open("a") as file:
        file.write("\n")
    assert fingerprint.of(beyond, project) != before
    assert (fingerprint.of(COMMITTED[0], project) != article) == (changed in USED_BY_ALL)


def test_a_copy_in_another_folder_has_the_same_fingerprint(project):
    assert fingerprint.of(COMMITTED[0], project) == fingerprint.of(COMMITTED[0])


def test_the_runner_and_handouts_are_not_covered():
    cells = [cell.source for notebook in COMMITTED for cell in code_cells(notebook)]
    folders = {path.relative_to(ROOT).parts[0] for path in fingerprint.code_files(cells)}
    assert folders == {"helpers", "manifests", "lambda"}


def test_outputs_are_not_saved_if_the_code_changed_during_the_run(monkeypatch, tmp_path):
    notebook, executed = tmp_path / "notebooks" / "07-x.ipynb", tmp_path / "run"
    made = copy.deepcopy(COMMITTED[7])
    for cell in code_cells(made):
        cell.metadata["papermill"] = {"duration": 1.0}
    for folder in (notebook.parent, executed):
        folder.mkdir()
        nbformat.write(made, folder / notebook.name)
    monkeypatch.setattr(run, "executed", lambda: executed)
    before = notebook.read_bytes()
    with pytest.raises(TutorialError, match="the code changed while it ran"):
        run._write_back(notebook, "another", "one")
    assert notebook.read_bytes() == before
    run._write_back(notebook, fingerprint.of(made), "one")
    assert nbformat.read(notebook, as_version=4).metadata["tutorial"]["run"] == "one"
