"""nbval's comparison of two notebooks' outputs, by its rules and ours, with nothing executed.

Of a picture the words are compared, not the drawing: its bars are as long as a run's milliseconds.
"""

import difflib
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
from nbval.plugin import IPyNbCell, coalesce_streams, find_metadata_tags, get_sanitize_patterns, nocolors

RULES = Path(__file__).parent / "sanitize.cfg"
PICTURE = "image/svg+xml"
_SKIPPED = ("metadata", "traceback", "output_type", "name", "execution_count")


class _Cell(SimpleNamespace):
    """What nbval's comparison needs of a pytest item."""

    colors = nocolors
    compare_outputs = IPyNbCell.compare_outputs
    sanitize = IPyNbCell.sanitize

    def format_output_compare(self, key: str, left: str, right: str) -> None:
        lines = difflib.unified_diff(left.splitlines(), right.splitlines(), "committed", "shown", lineterm="")
        self.comparison_traceback += [f"mismatch '{key}'", *lines]


def differences(shown: Path, committed: Path) -> str:
    """What the outputs of an executed notebook have otherwise than the committed ones; "" for nothing."""
    file = SimpleNamespace(
        sanitize_patterns=dict(get_sanitize_patterns(RULES.read_text())), skip_compare=_SKIPPED
    )
    found = []
    cells = zip(_code_cells(shown), _code_cells(committed), strict=True)
    for number, (test, reference) in enumerate(cells):
        assert test.source == reference.source
        if dict(find_metadata_tags(reference.metadata)).get("check", True):
            cell = _Cell(parent=file)
            skipped = (*_SKIPPED, PICTURE, "text/html") if _has_picture(reference) else _SKIPPED
            if not cell.compare_outputs(_outputs(test), _outputs(reference), skipped):
                found += [f"cell {number}:", *cell.comparison_traceback]
    return "\n".join(found)


def _code_cells(notebook: Path) -> list[Any]:
    cells: list[Any] = nbformat.read(notebook, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def _has_picture(cell: Any) -> bool:
    """Then only the image and the words are committed, not the HTML."""
    return any(PICTURE in output.get("data", {}) for output in cell.outputs)


def _outputs(cell: Any) -> list[Any]:
    return coalesce_streams(deepcopy(cell.outputs))
