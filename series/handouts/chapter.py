"""A notebook as HTML, in the pieces that a document is assembled from."""

import functools
import html
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup, Tag
from nbconvert import HTMLExporter

from series.handouts import markup
from series.run import as_seen

TEMPLATES = Path(__file__).parent / "templates"
ANSWERS = ("Solution", "Solutions", "Answer", "Answers")  # the titles of folded text


@dataclass(frozen=True)
class Heading:
    anchor: str
    text: str  # HTML, as the body has it


@dataclass(frozen=True)
class Solution:
    """The folded text below an exercise or a question."""

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
    picture: str  # the first one
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
    body = markup.parse(exporter().from_notebook_node(notebook)[0])
    markup.headings(body, number)
    markup.pictures(body, number, images)
    markup.for_paper(body)
    markup.lines(body)
    markup.tables(body)
    solutions = _solutions(body, number)
    steps = [h2 for h2 in body.find_all("h2") if h2.get_text().startswith("Step ")]
    title = body.h1.get_text().strip() if body.h1 else path.stem
    return Chapter(
        number,
        path.name,
        html.escape(title, quote=False),
        str(body),
        [Heading(str(h2["id"]), h2.decode_contents()) for h2 in steps],
        solutions,
        str(body.select_one(".picture") or ""),
        _versions(notebook),
    )


def _solutions(body: BeautifulSoup, number: str) -> list[Solution]:
    """Folded text stays in place on screen; on paper it is at the end, and the body links to it."""
    solutions: list[Solution] = []
    for folded in body.find_all("details"):
        title = folded.summary.get_text().strip() if folded.summary else ""
        if title not in ANSWERS:
            continue
        anchor = f"{number}-solution-{len(solutions) + 1}"
        text = "".join(str(part) for part in folded.contents if part is not folded.summary)
        exercises = sum(each.name.startswith("Exercise") for each in solutions)
        solutions.append(Solution(anchor, _name(folded, title, exercises + 1), text.strip()))
        folded["class"] = "answer"
        folded.insert_after(
            markup.parse(
                f'<p class="print quiet"><a href="#{anchor}">{title}</a>'
                f'<span class="on"> on page <i class="page" data-of="{anchor}"></i></span></p>'
            )
        )
    return solutions


def _name(folded: Tag, title: str, exercise: int) -> str:
    """E.g. "Exercise 1", or "Question 2" by the number in bold above it; several at once: the title only."""
    if title == "Solution":
        return f"Exercise {exercise}"
    asked = folded.find_previous(string=re.compile(r"^\d+\.$"))
    return f"Question {asked.rstrip('.')}" if asked and title == "Answer" else title


def _versions(notebook: nbformat.NotebookNode) -> str:
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.strip() == "show.versions()" and cell.outputs:
            return cell.outputs[0].get("data", {}).get("text/html", "")
    return ""
