"""For nbval (`-p tests.notebooks.pictures`): of a picture the words are compared, not the drawing.

Its bars are as long as this run's milliseconds. And only image and words are committed, not the HTML.
"""

from functools import partial

import pytest
from nbval.plugin import IPyNbCell

PICTURE = "image/svg+xml"


def pytest_itemcollected(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell) and any(PICTURE in o.get("data", {}) for o in item.cell.outputs):
        skipped = (*item.parent.skip_compare, PICTURE, "text/html")
        item.compare_outputs = partial(item.compare_outputs, skip_compare=skipped)
