"""One self-contained HTML file of chapters: nothing in it is fetched from elsewhere."""

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import unquote

from pygments.formatters import HtmlFormatter

from series.handouts.chapter import Chapter, exporter
from series.run import PROJECT

PACKAGE = "istio-multicloud-lambda"
DARK = "@media screen and (prefers-color-scheme: dark)"


@dataclass(frozen=True)
class Front:
    """The title page."""

    lead: str
    picture: str
    made: str
    versions: str


def series(chapters: Sequence[Chapter]) -> str:
    """The whole series, with a title page and contents."""
    return _document(_readme()[0], chapters, _front(chapters))


def single(chapter: Chapter) -> str:
    """One notebook."""
    return _document(chapter.title, [chapter], None)


def with_pages(document: str, pages: Mapping[str, int]) -> str:
    """The document with the page of each anchor wherever it is referred to."""
    return re.sub(
        r'(<i class="page" data-of="([^"]+)">)[^<]*', lambda m: f"{m[1]}{pages.get(m[2], '')}", document
    )


def _document(title: str, chapters: Sequence[Chapter], front: Front | None) -> str:
    template = exporter().environment.get_template("document.html.j2")
    text = template.render(
        title=title,
        chapters=chapters,
        front=front,
        solutions=any(chapter.solutions for chapter in chapters),
        highlighting=_highlighting(),
    )
    return _links(text, {chapter.file: chapter.number for chapter in chapters})


def _readme() -> tuple[str, str]:
    """The title and the first paragraph of the project's README."""
    title, lead, *_ = (PROJECT / "README.md").read_text().removeprefix("# ").split("\n\n")
    return title, lead


def _front(chapters: Sequence[Chapter]) -> Front:
    markdown = exporter().environment.from_string("{{ text | markdown2html }}")
    first = re.search(r'<div class="picture".*?</svg></div>', chapters[0].body, re.S)
    return Front(
        markdown.render(text=_readme()[1]),
        first[0].replace("picture-", "front-") if first else "",
        f"Version {version(PACKAGE)}, made on {datetime.date.today():%-d %B %Y}",
        next((chapter.versions for chapter in chapters if chapter.versions), ""),
    )


def _highlighting() -> str:
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    rules = f"{light}\n{DARK} {{\n{dark}\n}}"
    return re.sub(r"(?m)^(pre|td|span)[^{]*\{.*$|^\.highlight \{.*$|background-color: [^;}]*;?", "", rules)


def _links(text: str, numbers: Mapping[str, str]) -> str:
    """Links between notebooks lead to chapters; to a file that is not in the document, to its name."""

    def lead(match: re.Match[str]) -> str:
        target, label = unquote(match[1]), match[2]
        if re.match(r"(https?:|mailto:|#)", target):
            return match[0]
        file, _, anchor = target.partition("#")
        if file in numbers:
            return f'<a href="#{numbers[file]}{"-" + anchor if anchor else ""}">{label}</a>'
        if file.endswith(".ipynb") and "/" not in file:
            return f"<b>{label}</b>"
        path = file.replace("../", "")
        return label if path in re.sub("<[^>]+>", "", label) else f"{label} (<code>{path}</code>)"

    return re.sub(r'<a href="([^"]+)">(.*?)</a>', lead, text, flags=re.S)
