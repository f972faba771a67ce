"""The notebooks beyond the article: outputs match the committed ones, and changes are undone, twice.

`make test` runs the first of them once, `make test-all` all of them twice.
"""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from tenacity import Retrying, stop_after_delay, wait_fixed

from helpers.base import contents
from series.run import notebooks
from tests import solutions
from tests.conftest import NAME, completed, fresh_lab, run
from tests.faults.clouds import in_the_clouds
from tests.notebooks.compare import differences
from tests.standing import differences as changes
from tests.standing import lasting, standing
from tests.test_series import IN_SLEEP, RUNNER, build, nbconvert, plain, python, shown

QUICK = {"07-who-may-call"}
BEYOND = [
    pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else pytest.mark.slow)
    for path in notebooks(contents.BEYOND)
]
PREREQUISITES = 2  # cells: the imports, and what 00 to 06 created
PASSED = 1000


def unchanged(env: dict[str, str], before: dict[str, str]) -> None:
    """Waits, as pods and rollouts take a moment to end."""
    for attempt in Retrying(stop=stop_after_delay(120), wait=wait_fixed(3), reraise=True):
        with attempt:
            assert changes(before, standing(env)) == []


@pytest.mark.parametrize("notebook", BEYOND)
def test_outputs_match_and_changes_are_undone(meshes, notebook):
    before = standing(meshes)
    run(meshes, sys.executable, "-m", "series.run", notebook.name[:2])
    assert not (found := differences(shown(meshes, notebook), notebook)), found
    unchanged(meshes, before)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", notebooks(contents.BEYOND), ids=lambda path: path.stem)
def test_a_second_run_and_its_solutions_pass_and_changes_are_undone(meshes, tmp_path, notebook):
    before = standing(meshes)
    run(plain(meshes), *nbconvert(tmp_path / "out", solutions.as_cells(notebook, tmp_path)))
    unchanged(meshes, before)


def test_leftovers_and_changes_are_detected(meshes):
    before = standing(meshes)
    kubectl = ("kubectl", "--context", "gke")
    function = run(meshes, "aws", "lambda", "list-functions", "--query", "Functions[0].FunctionName").strip(
        ' "\n'
    )
    timeout = ("aws", "lambda", "update-function-configuration", "--function-name", function, "--timeout")
    file = build(meshes) / "certs/left"
    run(meshes, *kubectl, "-n", "sleep", "create", "configmap", "left")
    run(meshes, *kubectl, "label", "namespace", "sleep", "changed=yes")
    run(meshes, *timeout, "4")
    file.touch()
    found = changes(before, standing(meshes))
    file.unlink()
    run(meshes, *timeout, "5")
    run(meshes, *kubectl, "label", "namespace", "sleep", "changed-")
    run(meshes, *kubectl, "-n", "sleep", "delete", "configmap", "left")
    names = ["file certs/left", f"function {function}", "gke ConfigMap  sleep/left", "gke Namespace  /sleep"]
    assert [each.partition(": ")[0] for each in found] == names


LOAD = """
import time
from helpers import load
with load.running(rate=10) as sent:
    time.sleep(3)
print({each.status for each in sent.samples}, len(sent.failures), len(sent.samples) > 10)
"""


def test_requests_from_the_pod_are_counted_and_end(meshes):
    assert python(meshes, LOAD).splitlines()[-1] == "{200} 0 True"
    assert "curl" not in run(meshes, *IN_SLEEP, "ps")


@pytest.mark.slow
def test_the_clean_up_deletes_what_interrupted_ones_left(programs, tmp_path):
    """Without their last cells, the last notebook first: it makes a load balancer."""
    with fresh_lab(f"{NAME[:15]}-left") as environment:
        before = in_the_clouds(environment)
        run(environment, sys.executable, "-m", "series.run")
        article = in_the_clouds(environment)
        interrupted = [without_undo(path, tmp_path) for path in reversed(notebooks(contents.BEYOND))]
        said = completed(environment | {"IPYTHONDIR": str(tmp_path)}, *RUNNER, "--go-on", *interrupted).stdout
        ended = verdicts(said)
        # What one left makes others fail, but none in its prerequisites.
        assert list(ended) == [Path(name).stem for name in interrupted], said
        assert ended["13-gateway-api"] == PASSED, said
        assert min(ended.values()) > PREREQUISITES, ended
        assert in_the_clouds(environment) > lasting(article)
        run(environment, sys.executable, "-m", "helpers.cleanup")
        assert in_the_clouds(environment) == before


def verdicts(said: str) -> dict[str, int]:
    """For each notebook that was run, the code cell in which it failed, or PASSED."""
    names = "|".join(contents.NOTEBOOKS.values())
    found = re.findall(rf"^({names})(?:, cell (\d+): \w+: |: passed$)", said, re.M)
    return {name: int(cell or PASSED) for name, cell in found}


FAILS = "raise KeyError('07-who-may-call: passed')"


@pytest.mark.parametrize(
    ("cells", "ended"),
    [(["1"], PASSED), ([FAILS], 1), (["1", "2", f"print('said')\n{FAILS}"], 3), (["1", "1 +"], 2)],
)
def test_the_runner_says_where_a_notebook_ended(tmp_path, cells, ended):
    for name, sources in {"12-how-fast": cells, "07-who-may-call": ["1"]}.items():
        made = new_notebook(cells=[new_markdown_cell("# 12"), *map(new_code_cell, sources)])
        nbformat.write(made, tmp_path / f"{name}.ipynb")
    names = [str(tmp_path / f"{name}.ipynb") for name in ("12-how-fast", "07-who-may-call")]
    done = completed(os.environ | {"IPYTHONDIR": str(tmp_path)}, *RUNNER, "--go-on", *names)
    assert verdicts(done.stdout) == {"12-how-fast": ended, "07-who-may-call": PASSED}, done.stdout
    assert done.returncode == (ended != PASSED)


def without_undo(notebook: Path, folder: Path) -> str:
    copy = nbformat.read(notebook, as_version=4)
    copy.cells = [cell for cell in copy.cells if "undo" not in cell.metadata.get("tags", [])]
    nbformat.write(copy, folder / notebook.name)
    return str(folder / notebook.name)
