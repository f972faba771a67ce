"""The progress of a run of the series: notebook, step and cell, and what a cell waits for."""

import io
import re

import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError
from rich.console import Console

from helpers.base.waiting import progress_line
from series import progress, run
from series.progress import Shown

CELLS = [
    nbformat.v4.new_markdown_cell("# 1 · A notebook"),
    nbformat.v4.new_markdown_cell("## Step 1: count"),
    nbformat.v4.new_code_cell("print(1)"),
    nbformat.v4.new_code_cell("print(2)"),
    nbformat.v4.new_markdown_cell("Words.\n\n## Step 2: [divide]"),
    nbformat.v4.new_code_cell("print(1 / one)"),
]


@pytest.fixture
def notebook(monkeypatch, tmp_path):
    """Its path; the committed copy took 1.5 s, 2 s and 4 s."""
    monkeypatch.setenv("TERM", "xterm")  # with TERM=dumb, Rich always uses 80 columns
    made = nbformat.v4.new_notebook(cells=[cell.copy() for cell in CELLS])
    made.metadata["tutorial"] = {"seconds": [1.5, 2.0, 4.0]}
    path = tmp_path / "01-a.ipynb"
    nbformat.write(made, path)
    return path


def said(notebook, terminal=False, one="1"):
    """The output of a run with this divisor, without seconds."""
    made = nbformat.read(notebook, as_version=4)
    made.cells[-1].source = f"print(1 / {one})"
    nbformat.write(made, notebook)
    console = Console(file=io.StringIO(), force_terminal=terminal, width=150)
    try:
        with Shown(console, notebook.stem, made) as shown:
            run.run(notebook, notebook.parent / "out", shown)
    except PapermillExecutionError as error:
        assert error.ename == "ZeroDivisionError"
    return re.sub(r"\d+\.\d s(?! *\))", "S", console.file.getvalue())


def test_a_log_has_a_plain_line_for_each_step(notebook):
    assert [" ".join(line.split()) for line in said(notebook).splitlines()] == [
        "01-a: 3 cells (in our lab 7.5 s)",
        "Step 1: count: S (in our lab 3.5 s)",
        "Step 2: [divide]: S (in our lab 4.0 s)",
        "01-a S (in our lab 7.5 s)",
    ]


def test_a_terminal_has_one_line_that_updates(notebook):
    text = said(notebook, terminal=True)
    assert all(seen in text for seen in ("0/3", "1/3", "3/3", "Step 1: count", "Step 2: [divide]"))
    assert text.count("\n") <= 2  # all but the last line are overwritten


def test_a_failed_step_is_the_last_one_named(notebook):
    lines = said(notebook, one="0").splitlines()
    assert "Step 2" in lines[-2] and "failed after" in lines[-1]


def test_a_notebook_without_durations_is_shown_without_them(notebook):
    made = nbformat.read(notebook, as_version=4)
    del made.metadata["tutorial"]
    nbformat.write(made, notebook)
    assert "our lab" not in said(notebook)


def test_every_committed_notebook_has_durations():
    for path in run.notebooks():
        made = nbformat.read(path, as_version=4)
        assert sum(progress.expected(made)) > 0, path.name
        assert len(made.metadata["tutorial"]["seconds"]) == sum(c.cell_type == "code" for c in made.cells)


@pytest.fixture
def waits(notebook):
    console = Console(file=io.StringIO(), width=150)
    shown = Shown(console, "01", nbformat.read(notebook, as_version=4))

    def lines():
        return [line.strip() for line in console.file.getvalue().splitlines()]

    return shown, lines


def test_a_long_wait_is_reported_once_a_minute(waits):
    shown, lines = waits
    for second in range(150):
        shown.write(f"\r{progress_line('EKS cluster tutorial', 'CREATING', second)}     ")
    shown.write("\raws eks describe-cluster → ACTIVE\n")
    assert lines() == ["… EKS cluster tutorial: CREATING (60 s)", "… EKS cluster tutorial: CREATING (120 s)"]


def test_the_next_wait_is_reported_too_and_short_ones_are_not(waits):
    shown, lines = waits
    for what, end in (("one", 61), ("two", 59), ("three", 61)):
        for second in range(end):
            shown.write(progress_line(what, "CREATING", second))
    assert [line.split()[1] for line in lines()] == ["one:", "three:"]


def test_a_long_line_is_truncated_before_its_seconds(waits):
    shown, lines = waits
    shown.write(progress_line("deploy/istiod", "CREATING, " * 20, 61))
    (line,) = lines()
    assert line.endswith(" (61 s)") and len(line) <= 96
