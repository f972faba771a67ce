"""Handouts: complete, self-contained, linked, printable; participants' notebooks contain no solutions."""

import re
from contextlib import redirect_stdout
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from pypdf import PdfReader

from helpers.base import contents
from helpers.base.errors import TutorialError
from helpers.base.settings import ROOT
from series.handouts import chapter, document, markup, participants, pdf
from series.handouts.__main__ import IMAGES, make
from series.run import NOTEBOOKS, notebooks

PATHS = notebooks()
SERIES = document.PACKAGE
each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)


class Page(HTMLParser):
    """The ids, links and resources of an HTML file."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.resources: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.add(tag)
        self.ids += [given["id"]] if "id" in given else []
        if tag == "a":
            self.links.append(given["href"])
        else:
            self.resources += [given[name] for name in ("src", "href", "srcset", "data") if given.get(name)]


def fetched(text: str) -> list[str]:
    """What a browser would load to show this page."""
    in_styles = re.findall(r"url\(\s*[\"']?([^)\"']+)|@import\s+([^;]+)", text)
    found = [*Page(text).resources, *("".join(pair) for pair in in_styles)]
    return [one for one in found if not one.startswith(("#", "data:"))]


@pytest.fixture(scope="module")
def out(tmp_path_factory, chapters) -> Path:
    """The handouts of the committed notebooks, created on a machine without Chromium."""
    folder = tmp_path_factory.mktemp("handouts")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as said:
        patch.setenv("PATH", str(folder))
        make(NOTEBOOKS, folder)
    (folder / "said.txt").write_text(said.getvalue())
    return folder


@pytest.fixture(scope="module")
def chapters() -> list[chapter.Chapter]:
    return [chapter.read(path, IMAGES) for path in PATHS]


@pytest.fixture(scope="module")
def series(out) -> str:
    return (out / f"{SERIES}.html").read_text()


@pytest.fixture(scope="module")
def printed(series, chromium, tmp_path_factory) -> PdfReader:
    file = tmp_path_factory.mktemp("pdf") / "series.pdf"
    pdf.write(series, file)
    return PdfReader(file)


def test_without_chromium_there_is_html_and_a_hint_what_to_install(out):
    assert "Try: apt-get install chromium" in (out / "said.txt").read_text()
    assert len(list(out.glob("*.html"))) == len(PATHS) + 1
    assert not list(out.glob("*.pdf"))


def test_a_folder_without_notebooks_is_rejected(tmp_path):
    with pytest.raises(TutorialError, match="no notebook of the series"):
        make(tmp_path, tmp_path / "out")


def test_it_contains_all_notebooks_in_order(series):
    titles = re.findall(r'<h1 id="(\d\d)">', series)
    assert titles == [path.name[:2] for path in PATHS]
    assert series.index('class="contents"') < series.index('<h1 id="00">')


@pytest.mark.parametrize("name", [SERIES, *(path.stem for path in PATHS)])
def test_nothing_is_loaded_and_every_link_works(out, name):
    text = (out / f"{name}.html").read_text()
    page = Page(text)
    assert fetched(text) == []
    assert "script" not in page.tags
    assert "svg" in page.tags or name[:2] in contents.BEYOND  # where a picture is optional
    assert len(page.ids) == len(set(page.ids))
    inside = [link for link in page.links if not link.startswith("https://")]
    assert all(link.removeprefix("#") in page.ids for link in inside), inside


@pytest.mark.parametrize(
    "text",
    ["<script src='https://x.org/a.js'></script>", "<img src='a.png'>", "<style>@import 'a.css';</style>",
     "<style>p { background: url(https://x.org/a.png) }</style>", "<link rel='stylesheet' href='a.css'>"],
)  # fmt: skip
def test_loaded_resources_are_detected(text):
    assert fetched(text)


def test_notebooks_link_to_each_other_inside_the_document(series, out):
    assert '<a href="#01">' in series[series.index('<h1 id="00">') :]
    assert not re.search(r'href="[^"]*ipynb', series)
    assert '<a href="#01">' not in (out / f"{PATHS[0].stem}.html").read_text()


def test_a_manifest_is_monospaced_and_highlighted(series):
    blocks = re.findall(r"<pre\b.*?</pre>", series, re.S)
    assert any('<span class="nt">apiVersion</span>' in block for block in blocks)
    assert "```" not in series


def test_each_solution_is_folded_on_screen_and_at_the_end_on_paper(series, chapters):
    given = sum(len(each.solutions) for each in chapters)
    assert given == sum(len(participants.ANSWER.findall(path.read_text())) for path in PATHS) > 10
    assert series.count('<details class="answer">') == given
    end = series.index('id="solutions"')
    places = [series.index(f'id="{solution.anchor}"') for each in chapters for solution in each.solutions]
    assert places == sorted(places) and places[0] > end


def test_styles_and_ids_of_two_pictures_do_not_conflict(chapters, tmp_path):
    (tmp_path / "a.svg").write_text(
        '<svg aria-labelledby="t"><style>.x { fill: red }</style><title id="t">A</title>'
        '<path class="x" marker-end="url(#t)"/></svg>'
    )
    parsed = markup.parse('<img src="images/a.svg" alt="A"><img src="images/a.svg" alt="A">')
    markup.pictures(parsed, "00", tmp_path)
    body = str(parsed)
    page = Page(body)
    assert len(page.ids) == len(set(page.ids)) == 4
    assert body.count("#picture-00-1 {.x { fill: red }}") == 1 and "url(#picture-00-2-t)" in body


@each_notebook
def test_participants_have_the_same_cells_without_outputs_and_solutions(path, out):
    copy = nbformat.read(out / "participants" / path.name, as_version=4)
    nbformat.validate(copy)
    original = nbformat.read(path, as_version=4)
    code = [cell for cell in copy.cells if cell.cell_type == "code"]
    to_fill_in = [cell for cell in code if cell.source.startswith(participants.TO_FILL_IN)]
    assert [cell.source for cell in code if cell not in to_fill_in] == [
        cell.source for cell in original.cells if cell.cell_type == "code"
    ]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    text = "\n".join(cell.source for cell in copy.cells if cell.cell_type == "markdown")
    answers = [answer for cell in original.cells for answer in participants.ANSWER.findall(cell.source)]
    assert answers and not participants.ANSWER.search(text)
    for _, answer in answers:
        assert all(block not in text for block in answer.strip().split("\n\n"))
    assert sum(name.startswith("Solution") for name, _ in answers) == len(to_fill_in)


@each_notebook
def test_participants_links_lead_where_the_originals_do(path, out):
    """Copied over notebooks/, or where they are: pictures and notebooks are next to them."""
    copy = (out / "participants" / path.name).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", copy):
        if not target.startswith(("https://", "#", "../")):
            assert (out / "participants" / target.partition("#")[0]).exists(), target


def participants_cells(markdown: str, folder: Path) -> list[tuple[str, str]]:
    """Kind and source of the cells that a participant gets instead of this one."""
    cells = [nbformat.v4.new_markdown_cell(markdown, id="x"), nbformat.v4.new_code_cell("1 + 1", id="y")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "a.ipynb")
    (folder / "out").mkdir()
    copy = nbformat.read(participants.write(folder / "a.ipynb", folder / "out"), as_version=4)
    return [(cell.cell_type, cell.source) for cell in copy.cells]


def test_text_after_the_last_answer_is_kept(tmp_path):
    markdown = (
        "**1.** A?\n\n<details><summary>Answer</summary>\n\nSecret.\n\n</details>\n\n**2.** B?\n\n"
        "<details><summary>Solution</summary>\n\nHidden.\n\n</details>\n\nEnd."
    )
    code = ("code", participants.TO_FILL_IN)
    assert participants_cells(markdown, tmp_path) == [
        ("markdown", "**1.** A?\n\n**2.** B?"), code, ("markdown", "End."), ("code", "1 + 1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("question", "filled_in"),
    [
        ("Ask. Put what you get into `answer`.", f"{participants.TO_FILL_IN}\n\nassert answer == 2"),
        ("Ask.", participants.TO_FILL_IN),  # participants could not know the name that the assertion uses
    ],
)
def test_a_cell_to_fill_in_has_the_assertion_if_the_exercise_names_its_variables(
    question, filled_in, tmp_path
):
    solution = "```python\nanswer = 1 + 1\nassert answer == 2\n```"
    markdown = f"**Exercise.** {question}\n\n<details><summary>Solution</summary>\n\n{solution}\n\n</details>"
    assert participants_cells(markdown, tmp_path) == [
        ("markdown", f"**Exercise.** {question}"), ("code", filled_in), ("code", "1 + 1"),
    ]  # fmt: skip


class Paper(NamedTuple):
    """A page's text, and each piece of it with its height on the page and its size in points."""

    text: str
    pieces: list[tuple[str, float, float]]


def read(page) -> Paper:
    found = []

    def look(text, current, matrix, font, size):
        if text.strip():
            height = matrix[5] * current[3] + current[5]
            found.append((text.strip(), height, abs(size * matrix[3] * current[3])))

    return Paper(page.extract_text(visitor_text=look), found)


@pytest.fixture(scope="module")
def pages(printed) -> list[Paper]:
    return [read(page) for page in printed.pages]


def heading_sizes(pages: list[Paper]) -> set[float]:
    """The sizes of "Check": Chromium shrinks all pages until the widest line fits."""
    return {round(size, 1) for page in pages for text, _, size in page.pieces if text == "Check"}


def test_all_pages_but_the_title_page_have_numbers(pages):
    title = (ROOT / "README.md").read_text().split("\n")[0].removeprefix("# ")
    assert " ".join(pages[0].text.split()).startswith(title)
    bottom = 18 / 25.4 * 72
    feet = [[text for text, y, _ in page.pieces if y < bottom] for page in pages]
    assert feet == [[], *([str(number)] for number in range(2, len(feet) + 1))]


def test_contents_have_the_pages_on_which_chapters_start(pages, chapters):
    contents = " ".join(pages[1].text.split())
    for each in chapters:
        (number,) = re.findall(rf"{re.escape(each.title)} (\d+)", contents)
        top = pages[int(number) - 1].text
        assert top.count(each.title) == 2, each.title  # in the margin, and as the heading


def test_paper_omits_long_lists_of_commands_and_links_to_the_next_notebook(series, pages):
    paper = " ".join(page.text for page in pages)
    for left_out in ("aws ec2 create-vpc", "you can start again at any time"):
        assert left_out in series.lower()
        assert left_out not in paper.lower()
    assert "equivalent commands" in paper
    assert "aws lambda invoke" in paper  # short lists of commands remain


def test_nothing_is_wider_than_a_page(pages):
    assert heading_sizes(pages) == {13.5}  # 1.35 times 10 points


def test_content_wider_than_a_page_is_detected(chapters, printed, tmp_path):
    text = document.single(chapters[1]).replace("</style>", "pre { white-space: pre !important }</style>", 1)
    pdf.write(text, tmp_path / "wide.pdf")
    (size,) = heading_sizes([read(page) for page in PdfReader(tmp_path / "wide.pdf").pages])
    assert size < 14


def test_the_outline_of_the_pdf_has_the_chapters(printed, chapters):
    names = [str(entry.title) for entry in printed.outline if not isinstance(entry, list)]
    assert [each.title for each in chapters] == [name for name in names if re.match(r"\d+ · ", name)]
