"""One self-contained HTML file of chapters: it loads nothing from elsewhere."""

import datetime
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from urllib.parse import unquote

from pygments.formatters import HtmlFormatter

from helpers.base.settings import ROOT
from series.handouts import markup
from series.handouts.chapter import Chapter, exporter

PACKAGE = "istio-multicloud-lambda"
DARK = "@media screen and (prefers-color-scheme: dark)"


def series(chapters: Sequence[Chapter]) -> str:
    """The whole series, with a title page and contents."""
    return _document(_readme()[0], chapters, _front(chapters))


def single(chapter: Chapter) -> str:
    """One notebook."""
    return _document(chapter.title, [chapter], None)


def with_pages(document: str, pages: Mapping[str, int]) -> str:
    """The document with the page number of each anchor in all references to it."""
    parsed = markup.parse(document)
    for reference in parsed.select("i.page[data-of]"):
        reference.string = str(pages.get(str(reference["data-of"]), ""))
    return str(parsed)


def _document(title: str, chapters: Sequence[Chapter], front: dict[str, str] | None) -> str:
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
    title, lead, *_ = (ROOT / "README.md").read_text(encoding="utf-8").removeprefix("# ").split("\n\n")
    return title, lead


def _front(chapters: Sequence[Chapter]) -> dict[str, str]:
    """The title page."""
    markdown = exporter().environment.from_string("{{ text | markdown2html }}")
    return {
        "lead": markdown.render(text=_readme()[1]),
        "picture": chapters[0].picture.replace("picture-", "front-"),
        "made": f"Version {version(PACKAGE)}, created on {datetime.date.today():%-d %B %Y}",
        "versions": next((chapter.versions for chapter in chapters if chapter.versions), ""),
    }


def _highlighting() -> str:
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    rules = f"{light}\n{DARK} {{\n{dark}\n}}"
    return re.sub(r"(?m)^(pre|td|span)[^{]*\{.*$|^\.highlight \{.*$|background-color: [^;}]*;?", "", rules)


def _links(text: str, numbers: Mapping[str, str]) -> str:
    """Links between notebooks become links to chapters; other files become names."""
    document = markup.parse(text)
    for link in document.select("a[href]"):
        target = unquote(str(link["href"]))
        if re.match(r"(https?:|mailto:|#)", target):
            continue
        file, _, anchor = target.partition("#")
        path = file.replace("../", "")
        if file in numbers:
            link["href"] = f"#{numbers[file]}{'-' + anchor if anchor else ''}"
        elif file.endswith(".ipynb") and "/" not in file:
            link.name, link.attrs = "b", {}
        else:
            if path not in link.get_text():
                link.extend(markup.parse(f" (<code>{path}</code>)").contents)
            link.unwrap()
    return str(document)
