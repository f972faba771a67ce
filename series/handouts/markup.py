"""What nbconvert's HTML lacks for paper: anchors, inline pictures, lines that show where they wrap.

Each function changes the document in place.
"""

import re
from pathlib import Path

from bs4 import BeautifulSoup, NavigableString, PageElement, Tag

from helpers.base.folding import BY_HAND

FITS = 100  # characters that fit on a line on paper; a marker after every line would take 50 MB
FITS_SMALL = 124  # the same in small print
SHORT = 10  # lines that are kept together on a page
EMOJI = re.compile(
    "\\s?[\u2693-\u26ff\U0001f300-\U0001faff]\ufe0f?"
)  # a machine that prints may have no font for them
_NAMING = ("id", "aria-labelledby", "aria-describedby")  # attributes whose values are ids


def parse(html: str) -> BeautifulSoup:
    """HTML as a document; str() is its HTML again."""
    return BeautifulSoup(html, "html.parser")


def headings(body: BeautifulSoup, number: str) -> None:
    """Anchors like JupyterLab's, each with its chapter's number, because every chapter has a "Check"."""
    for heading in body.find_all(["h1", "h2", "h3", "h4", "h5", "h6"]):
        text = heading.get_text().strip().replace(" ", "-")
        heading.attrs = {"id": number if heading.name == "h1" else f"{number}-{text}"}


def pictures(body: BeautifulSoup, number: str, images: Path) -> None:
    """Each SVG from the text or a cell, inline, with ids and styles of its own."""
    for image in body.select('img[src$=".svg"]'):
        name = str(image["src"]).removeprefix("./").removeprefix("images/")
        image.replace_with(parse((images / name).read_text(encoding="utf-8")).select_one("svg") or "")
    for count, svg in enumerate(body.find_all("svg"), 1):
        name = f"picture-{number}-{count}"
        isolate(svg, name)
        frame = svg.wrap(body.new_tag("div", attrs={"class": "picture", "id": name}))
        if frame.parent and frame.parent.name == "p" and not frame.parent.get_text().strip(svg.get_text()):
            frame.parent.unwrap()


def isolate(svg: Tag, name: str) -> None:
    """Makes an SVG's ids and styles unique, provided that it is in an element with this name as its id."""
    tags = [svg, *svg.find_all(True)]
    ids = {str(tag["id"]) for tag in tags if tag.has_attr("id")}

    def prefixed(word: str) -> str:
        return f"{name}-{word}" if word in ids else word

    def references(text: str) -> str:
        return re.sub(r"url\(#([^)]+)\)", lambda match: f"url(#{prefixed(match[1])})", text)

    for tag in tags:
        for key, value in tag.attrs.items():
            if key in _NAMING:
                tag[key] = " ".join(prefixed(word) for word in str(value).split())
            elif key.endswith("href") and str(value).startswith("#"):
                tag[key] = f"#{prefixed(str(value)[1:])}"
            elif key != "class":
                tag[key] = references(str(value))
        if tag.name == "style":
            # Dark mode on screens only, because paper is white; and only within the element of that name.
            rules = references(tag.get_text()).replace("@media (prefers", "@media screen and (prefers")
            tag.string = f"#{name} {{{rules}}}"


def for_paper(body: BeautifulSoup) -> None:
    """What paper leaves out: long lists of commands, the link to the next notebook, and istioctl's emoji."""
    for details in body.find_all("details"):
        if details.summary and details.summary.get_text().endswith(BY_HAND):
            details["class"] = "commands"
    for heading in body.find_all("h2", string="Next"):
        for part in [heading, *heading.find_next_siblings()]:
            part["class"] = "screen"
    for text in body.find_all(string=EMOJI):
        text.replace_with(EMOJI.sub("", text))


def lines(body: BeautifulSoup) -> None:
    """Make each line of code and output a block, so that a style can mark where it wraps."""
    for block in body.find_all("pre"):
        rows = _rows(block)
        texts = ["".join(part.get_text() for part in row) for row in rows]
        if any("\n" in text for text in texts):
            continue  # an element spans lines
        block.clear()
        block["class"] = " ".join(_kinds(block, texts))
        for row, text in zip(rows, texts, strict=True):
            line = body.new_tag("span", attrs={"class": "line long" if len(text) > FITS else "line"})
            line.extend([*row, "\n"])
            block.append(line)


def _rows(block: Tag) -> list[list[PageElement]]:
    """The block's contents by lines, without empty lines at the beginning and the end."""
    rows: list[list[PageElement]] = [[]]
    for part in block.contents:
        first, *more = [part] if isinstance(part, Tag) else map(NavigableString, part.get_text().split("\n"))
        rows[-1] += [first] if first.get_text() else []  # Pygments starts with an empty element
        rows += [[text] for text in more]
    filled = [number for number, row in enumerate(rows) if any(part.get_text() for part in row)]
    return rows[filled[0] : filled[-1] + 1] if filled else []


def _kinds(block: Tag, texts: list[str]) -> list[str]:
    """The style of a block on paper: short ones are kept together, wide tables are in small print."""
    kinds = list(block.get("class") or ())
    kinds += ["short"] if len(texts) <= SHORT else []
    widths = [len(text) for text in texts if re.search(r"\S {3,}\S", text)]
    kinds += ["wide"] if widths and FITS < max(widths) <= FITS_SMALL else []
    return kinds


def tables(body: BeautifulSoup) -> None:
    """A wide table scrolls on a small screen; the page does not. Long names wrap after an underscore."""
    for table in body.find_all("table"):
        for name in table.find_all(string=re.compile("_")):
            first, *more = name.split("_")
            parts: list[PageElement | str] = [first]
            for part in more:
                parts += ["_", body.new_tag("wbr"), part]
            name.replace_with(*parts)
        table.wrap(body.new_tag("div", attrs={"class": "table"}))
