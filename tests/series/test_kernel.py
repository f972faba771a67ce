"""A notebook's kernel: nothing in the reader's Jupyter, IPython or shell settings changes its outputs."""

import json
import tempfile

import nbformat
import pytest

from helpers.base.settings import current
from series import run
from tests import messy

SEEN = "import json, os; print(json.dumps(dict(os.environ)))"


def environment_of_a_kernel(folder):
    """The cell prints exactly this, or it cannot be parsed."""
    notebook = folder / "01-a.ipynb"
    cells = [nbformat.v4.new_code_cell(SEEN, metadata={"tags": ["seen"]})]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    return json.loads(run.text_of(run.run(notebook, folder / "out"), "seen"))


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("TUTORIAL_SETTINGS", str(tmp_path / "none.toml"))


def test_start_up_files_kernels_and_a_long_tmpdir_have_no_effect(settings, monkeypatch, tmp_path):
    home = messy.home(tmp_path / "home")
    shell = messy.shell(home) | messy.only_for_make(home)
    for name, value in shell.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", shell["TMPDIR"])
    given = environment_of_a_kernel(tmp_path)
    assert given["TMPDIR"] == shell["TMPDIR"] and given["PATH"] == current().environment()["PATH"]
    assert not given.keys() & {"PYTHONSTARTUP", "PYTHONPATH", "PYTHONWARNINGS", "COLUMNS", "ZONE"}
    assert messy.files(home) == messy.files(messy.home(tmp_path / "same"))


@pytest.mark.parametrize("home", ["/proc/no-home-can-be-made-here", None])
def test_an_unwritable_or_unset_home(settings, monkeypatch, tmp_path, home):
    if home:
        monkeypatch.setenv("HOME", home)
    else:
        monkeypatch.delenv("HOME")
    assert environment_of_a_kernel(tmp_path).get("HOME") == home
