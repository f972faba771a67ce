"""The borders of the rooms (CONTRIBUTING.md): who may know whom."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
TUTORIAL_NAMES = re.compile(
    r"hello-world|lambda\.external|istio-(in|e)gress|mtls-credential|alb-ca|example\.com|eastwestgateway"
)


def modules(room: str) -> list[Path]:
    return sorted((PROJECT / room).rglob("*.py"))


def test_the_rooms_have_something_to_check():
    assert len(modules("helpers")) > 10
    assert len(modules("lab")) > 20


@pytest.mark.parametrize("path", modules("lab"), ids=lambda p: str(p.relative_to(PROJECT)))
def test_the_lab_knows_no_name_of_the_tutorial(path):
    code = path.read_text()
    if path.name == "values.py":  # hands out the domain: one of the values in which lab and cloud differ
        code = code.replace("example.com", "")
    assert not TUTORIAL_NAMES.findall(code)


def test_notebooks_import_helpers_and_the_standard_library_only():
    for path in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        code = "\n".join(
            "".join(c["source"]) for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"
        )
        assert "import lab" not in code and "from lab" not in code, path.name


@pytest.mark.parametrize(
    "path",
    modules("helpers") + modules("series") + modules("lab"),
    ids=lambda p: str(p.relative_to(PROJECT)),
)
def test_modules_and_functions_fit_on_a_few_screens(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name


def test_rooms_import_in_one_direction_and_without_circles():
    """The contracts are in pyproject.toml; imports for types count."""
    program = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run([program, "--no-cache"], cwd=PROJECT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
