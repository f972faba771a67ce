"""nbval's comparison of outputs, by its rules and ours: of two notebooks, or as a plugin of `pytest --nbval`.

For a picture, the words are compared, not the drawing: its bars depend on the run's milliseconds.
"""

import difflib
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from nbval.plugin import IPyNbCell, coalesce_streams, find_metadata_tags, get_sanitize_patterns, nocolors

from series.run import as_seen

RULES = Path(__file__).parent / "sanitize.cfg"
PICTURE = "image/svg+xml"
_SKIPPED = ("metadata", "traceback", "output_type", "name", "execution_count")


class _Cell(SimpleNamespace):
    """The part of a pytest item that nbval's comparison needs."""

    colors = nocolors
    compare_outputs = IPyNbCell.compare_outputs
    sanitize = IPyNbCell.sanitize

    def format_output_compare(self, key: str, left: str, right: str) -> None:
        lines = difflib.unified_diff(left.splitlines(), right.splitlines(), "committed", "shown", lineterm="")
        self.comparison_traceback += [f"mismatch '{key}'", *lines]


def differences(shown: Path, committed: Path) -> str:
    """How the outputs of an executed notebook differ from the committed ones; "" if they do not."""
    file = SimpleNamespace(
        sanitize_patterns=dict(get_sanitize_patterns(RULES.read_text())), skip_compare=_SKIPPED
    )
    found = []
    cells = zip(_code_cells(shown), _code_cells(committed), strict=True)
    for number, (test, reference) in enumerate(cells):
        assert test.source == reference.source
        if dict(find_metadata_tags(reference.metadata)).get("check", True):
            cell = _Cell(parent=file)
            skip = (*_SKIPPED, *_not_compared(reference))
            if not cell.compare_outputs(_outputs(test), _outputs(reference), skip):
                found += [f"cell {number}:", *cell.comparison_traceback]
    return "\n".join(found)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `pytest --nbval`; notebooks/conftest.py makes this module a plugin."""
    for cell in items:
        if isinstance(cell, IPyNbCell):
            skip = (*cell.parent.skip_compare, *_not_compared(cell.cell))
            cell.compare_outputs = partial(_compare, cell.compare_outputs, skip)


def _compare(compare: Callable[..., bool], skip: tuple[str, ...], shown: list[Any], committed: Any) -> bool:
    return compare(as_seen(shown), committed, skip_compare=skip)


def _not_compared(committed: Any) -> tuple[str, ...]:
    """The drawing of a picture, and its HTML, which is not committed."""
    has_picture = any(PICTURE in output.get("data", {}) for output in committed.outputs)
    return (PICTURE, "text/html") if has_picture else ()


def _code_cells(notebook: Path) -> list[Any]:
    cells: list[Any] = nbformat.read(notebook, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def _outputs(cell: Any) -> list[Any]:
    """Without streams that contain only a progress line."""
    return as_seen(coalesce_streams(deepcopy(cell.outputs)))
