"""How a notebook shows a step with many commands: one line that unfolds, and the same as text."""

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from series.run import as_seen
from tests.pasting.transcript import steps

STEP = """from helpers.base import command, folding
from helpers.base.waiting import wait_until

@folding.step()
def ensure(number):
    for one in range(number):
        inner(one)

@folding.step()
def inner(one):
    command.show_change(f"aws ec2 create-subnet --cidr-block '10.0.{one}.0/24' --tags a<b", f"subnet-{one}")
"""


@pytest.fixture(scope="module")
def shown():
    """The outputs of a short step, of a long one, and of one that fails."""
    calls = ["ensure(4)", "ensure(7)", "with folding.step():\n    ensure(7)\n    1 / 0", "ensure(0)"]
    notebook = new_notebook(cells=[new_code_cell(STEP), *map(new_code_cell, calls)])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    return [as_seen(cell.outputs) for cell in notebook.cells[1:]]


def test_few_commands_are_printed(shown):
    assert [output.output_type for output in shown[0]] == ["stream"]
    assert shown[0][0].text.count("\n# → subnet-") == 4


def test_many_commands_are_folded_and_can_be_copied(shown, tmp_path):
    [folded] = shown[1]
    assert folded.data["text/html"].startswith("<details><summary>7 equivalent commands</summary><pre>aws ")
    assert "a&lt;b" in folded.data["text/html"]
    notebook = new_notebook(cells=[new_code_cell("ensure(7)", outputs=shown[1])])
    nbformat.write(notebook, tmp_path / "07.ipynb")
    found = steps(tmp_path / "07.ipynb")
    assert [step.answers for step in found] == [[f"subnet-{number}"] for number in range(7)]


def test_commands_before_a_failure_are_shown(shown):
    folded, error = shown[2]
    assert "subnet-6" in folded.data["text/plain"] and error.output_type == "error"


def test_a_step_without_commands_shows_nothing(shown):
    assert shown[3] == []


def test_outside_a_notebook_each_command_is_printed_at_once(capsys):
    from helpers.base import command, folding

    with folding.step():
        for number in range(20):
            command.show_change("aws x y", str(number))
            assert capsys.readouterr().out == f"aws x y\n# → {number}\n"
