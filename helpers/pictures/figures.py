"""Matplotlib's figures in the style of the pictures, as SVG that follows the light or dark theme."""

import io
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any

from helpers.base import environment
from helpers.base.settings import current
from helpers.pictures import svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, TITLE = 960, 32  # pixels: of a figure, and of the line for its title
TEXT, LINE, CARD, GOOD, BAD = "#26282c", "#7d828b", "#fcfcfb", "#15803d", "#b91c1c"
_DARK = {TEXT: "#e6e7ea", LINE: "#8b9098", CARD: "#1d1f23", GOOD: "#4ade80", BAD: "#f87171"}
_STYLE: dict[Any, object] = {
    "figure.dpi": 72,  # a unit of the SVG is a pixel
    "svg.fonttype": "none",  # text that can be selected, in the reader's font
    "svg.hashsalt": "tutorial",  # the same values give the same SVG
    "font.size": svg.SIZE,
    "text.parse_math": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), TEXT),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), CARD),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    "axes.edgecolor": LINE,
}
_FORM = f"""\
svg.plot * {{ stroke-linejoin: round; stroke-linecap: butt; }}
svg.plot text {{ font-family: {svg.SANS} !important; }}
"""


class Plot(svg.Picture):
    """A drawn figure with what it shows in words, which are the same in every run."""

    def __init__(self, title: str, facts: str, drawing: str) -> None:
        super().__init__(title, facts, WIDTH)
        self.drawing = drawing

    def __str__(self) -> str:
        return self.drawing


@contextmanager
def figure(height: float) -> Iterator["Figure"]:
    """An empty figure. A reader's own settings of Matplotlib do not reach it, and its files are in build/."""
    with environment.only({**os.environ, "MPLCONFIGDIR": str(current().TUTORIAL_BUILD_DIR / "matplotlib")}):
        import matplotlib  # here, since it takes half a second
        import matplotlib.figure

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # otherwise it may report building its font cache
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield matplotlib.figure.Figure((WIDTH / 72, height / 72))


def plot(title: str, facts: str, drawn: "Figure") -> Plot:
    """The figure with its title, for a notebook."""
    drawn.text(0.01, 1 - 22 / (drawn.get_figheight() * 72), title, weight="bold")
    file = io.StringIO()
    drawn.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    dark = "\n".join(
        f'svg.plot [style*="{what}: {light}"] {{ {what}: {color} !important; }}'
        for light, color in _DARK.items()
        for what in ("fill", "stroke")
    )
    described = f"<title>{escape(title)}</title>\n <desc>{escape(facts)}</desc>"
    style = f"{_FORM}@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"
    text = re.sub(r'(?<= d=")[^"]*', _short, file.getvalue())
    for pattern, replacement in {
        r"\A.*?<svg ": '<svg class="plot" role="img" style="max-width: 100%; height: auto" ',
        r'(width|height)="(\d+)pt"': r'\1="\2"',
        r"<defs>\s*<style.*?</style>": f"{described}\n <defs>\n  <style>\n{style}\n</style>",
        r'<g id="[^"]*">': "<g>",  # so that two plots on a page share only ids of equal content
    }.items():
        text = re.sub(pattern, replacement, text, flags=re.S)
    return Plot(title, facts, text)


def _short(path: re.Match[str]) -> str:
    """A path's points, to a tenth of a pixel."""
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.1f}", " ".join(path[0].split()))
