"""The committed outputs are those of one clean run of the present code, and a test would notice."""

import copy
import shutil

import nbformat
import pytest

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


def test_a_changed_cell_is_noticed(stamped):
    code_cells(stamped[3])[1].source += "  # changed"
    (flaw,) = fingerprint.flaws(stamped)
    assert flaw.startswith("3 · ") and "the code has changed" in flaw


def test_prose_may_change(stamped):
    stamped[3].cells[1].source += "\n\nMore words."
    assert fingerprint.flaws(stamped) == []


def test_a_cell_run_twice_is_noticed(stamped):
    code_cells(stamped[1])[2].execution_count += 1
    assert "in order" in fingerprint.flaws(stamped)[0]


def test_an_error_is_noticed(stamped):
    error = nbformat.v4.new_output("error", ename="TimedOut", evalue="late", traceback=[])
    code_cells(stamped[1])[2].outputs.append(error)
    assert "an error" in fingerprint.flaws(stamped)[0]


def test_a_notebook_of_another_run_is_noticed(stamped):
    fingerprint.stamp(stamped[5], "another", [])
    assert fingerprint.flaws(stamped) == ["the notebooks are from different runs"]


@pytest.mark.parametrize("changed", ["helpers/curl.py", "manifests/eks/vs-lambda.yaml", "lambda/page.html"])
def test_each_kind_of_code_counts(tmp_path, changed):
    for path in fingerprint.code_files():
        copied = tmp_path / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
    same = fingerprint.of(COMMITTED[0], tmp_path)
    assert same == fingerprint.of(COMMITTED[0])
    with (tmp_path / changed).open("a") as file:
        file.write("\n")
    assert fingerprint.of(COMMITTED[0], tmp_path) != same


def test_what_runs_and_prints_notebooks_does_not_count():
    folders = {path.relative_to(ROOT).parts[0] for path in fingerprint.code_files()}
    assert folders == {"helpers", "manifests", "lambda"}
