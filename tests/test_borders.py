"""The boundaries in the code layout (CONTRIBUTING.md): who may import and know whom."""

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


def test_the_folders_are_not_empty():
    assert len(modules("helpers")) > 10
    assert len(modules("lab")) > 20


@pytest.mark.parametrize("path", modules("lab"), ids=lambda p: str(p.relative_to(PROJECT)))
def test_the_lab_contains_no_name_from_the_tutorial(path):
    code = path.read_text()
    if path.name == "values.py":  # exports the domain: one of the values in which lab and cloud differ
        code = code.replace("example.com", "")
    assert not TUTORIAL_NAMES.findall(code)


def test_notebooks_import_only_helpers_and_the_standard_library():
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
def test_modules_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name


def test_imports_have_one_direction_and_no_cycles():
    """The contracts are in pyproject.toml; type-only imports count."""
    program = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run([program, "--no-cache"], cwd=PROJECT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
