"""A notebook as HTML, in the pieces that a document is put together from."""

import functools
import html
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from series.handouts import markup
from series.run import as_seen

TEMPLATES = Path(__file__).parent / "templates"
ANSWER = re.compile(r"<details>\s*<summary>\s*((?:Solution|Answer)s?)\s*</summary>(.*?)</details>", re.S)


@dataclass(frozen=True)
class Heading:
    anchor: str
    text: str  # HTML, as the body has it


@dataclass(frozen=True)
class Solution:
    """What stands folded below an exercise or a question."""

    anchor: str
    name: str
    body: str


@dataclass(frozen=True)
class Chapter:
    number: str  # 00
    file: str  # 00-introduction.ipynb
    title: str
    body: str
    steps: list[Heading]
    solutions: list[Solution]
    versions: str  # the table that `show.versions()` printed, or nothing


@functools.cache
def exporter() -> HTMLExporter:
    """nbconvert with the templates of this package."""
    return HTMLExporter(
        extra_template_basedirs=[str(TEMPLATES)], template_name="handout", exclude_anchor_links=True
    )


def read(path: Path, images: Path) -> Chapter:
    """The notebook at `path` as a chapter; its pictures are looked up in `images`."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = as_seen(cell.outputs)
    number = path.name[:2]
    body, _ = exporter().from_notebook_node(notebook)
    body = markup.headings(body, number)
    body = markup.pictures(body, number, images)
    body = markup.tables(markup.lines(body))
    body, solutions = _solutions(body, number)
    found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', body, re.S)
    title = re.search(r"<h1[^>]*>(.*?)</h1>", body, re.S)
    return Chapter(
        number,
        path.name,
        re.sub("<[^>]+>", "", title[1]) if title else html.escape(path.stem),
        body,
        [Heading(anchor, text) for anchor, text in found if text.startswith("Step ")],
        solutions,
        _versions(notebook),
    )


def _solutions(body: str, number: str) -> tuple[str, list[Solution]]:
    """What is folded is on screen where it was, and on paper at the end: the body leads there."""
    solutions: list[Solution] = []

    def refer(match: re.Match[str]) -> str:
        anchor = f"{number}-solution-{len(solutions) + 1}"
        asked = re.findall(r"<strong>(\d+)\.</strong>", body[: match.start()])
        kind = "Exercise" if match[1].startswith("Solution") else "Question"
        name = f"{kind} {asked[-1]}" if asked and not match[1].endswith("s") else match[1]
        solutions.append(Solution(anchor, name, match[2].strip()))
        return (
            match[0].replace("<details>", '<details class="answer">', 1)
            + f'<p class="print quiet"><a href="#{anchor}">{match[1]}</a>'
            + f'<span class="on"> on page <i class="page" data-of="{anchor}"></i></span></p>'
        )

    return ANSWER.sub(refer, body), solutions


def _versions(notebook: nbformat.NotebookNode) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.strip() == "show.versions()" and cell.outputs:
            return cell.outputs[0].get("data", {}).get("text/html", "")
    return ""
