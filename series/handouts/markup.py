"""What nbconvert's HTML lacks for paper: anchors, pictures inside, lines that show where they wrap."""

import html
import re
from collections.abc import Callable
from pathlib import Path

FITS = 85  # characters for which a line has room on paper; a sign behind every line would make 50 MB
FITS_SMALL = 122  # the same in small print
SHORT = 10  # lines that stay together on a page


def headings(body: str, number: str) -> str:
    """Anchors as JupyterLab makes them, each with its chapter's number, for "Check" is in every one."""

    def anchored(match: re.Match[str]) -> str:
        text = re.sub("<[^>]+>", "", match[2]).strip()
        anchor = number if match[1] == "1" else f"{number}-{text.replace(' ', '-')}"
        return f'<h{match[1]} id="{anchor}">{match[2]}</h{match[1]}>'

    return re.sub(r"<h([1-6])[^>]*>(.*?)</h\1>", anchored, body, flags=re.S)


def pictures(body: str, number: str, images: Path) -> str:
    """Each SVG that the text shows or a cell drew, inline, with names and styles of its own."""

    def inline(match: re.Match[str]) -> str:
        svg = (images / match[1]).read_text()
        return svg[svg.index("<svg") :]

    body = re.sub(r'<img[^>]*\bsrc="(?:\./)?images/([^"]+\.svg)"[^>]*>', inline, body)
    count = iter(range(1, 1000))

    def own(match: re.Match[str]) -> str:
        name = f"picture-{number}-{next(count)}"
        return f'<div class="picture" id="{name}">{isolated(match[0], name)}</div>'

    body = re.sub(r"<svg\b.*?</svg>", own, body, flags=re.S)
    return re.sub(r"<p>\s*(<div class=\"picture\".*?</svg></div>)\s*</p>", r"\1", body, flags=re.S)


def isolated(svg: str, name: str) -> str:
    """An SVG whose ids and styles meet no other's, within an element that has this name as its id."""
    ids = set(re.findall(r'\bid="([^"]+)"', svg))

    def prefixed(text: str) -> str:
        return " ".join(f"{name}-{word}" if word in ids else word for word in text.split())

    svg = re.sub(r'\b(id|aria-labelledby|aria-describedby)="([^"]+)"', _attribute(prefixed), svg)
    svg = re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{prefixed(m[1])})", svg)
    svg = re.sub(r'(href)="#([^"]+)"', lambda m: f'{m[1]}="#{prefixed(m[2])}"', svg)
    # In the dark only on screens: paper is white.
    svg = svg.replace("@media (prefers-color-scheme: dark)", "@media screen and (prefers-color-scheme: dark)")
    # Its rules are nested into the name of what is around it.
    return re.sub(r"<style>(.*?)</style>", lambda m: f"<style>#{name} {{{m[1]}}}</style>", svg, flags=re.S)


def _attribute(change: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
    return lambda match: f'{match[1]}="{change(match[2])}"'


def lines(body: str) -> str:
    """Each line of code and of output as a block, so that a style can mark where it wraps."""

    def blocks(match: re.Match[str]) -> str:
        split = match[2].replace("<span></span>", "", 1).strip("\n").split("\n")
        if any(len(re.findall(r"<[a-z]", line)) != line.count("</") for line in split):
            return match[0]  # a tag spans lines
        texts = [html.unescape(re.sub("<[^>]+>", "", line)) for line in split]
        marked = "".join(
            f'<span class="line{" long" if len(text) > FITS else ""}">{line}\n</span>'
            for line, text in zip(split, texts, strict=True)
        )
        return f'<pre class="{_kind(match[1], texts)}">{marked}</pre>'

    return re.sub(r"<pre([^>]*)>(.*?)</pre>", blocks, body, flags=re.S)


def _kind(attributes: str, texts: list[str]) -> str:
    """How a block is set on paper: short ones stay together, wide tables are in small print."""
    kinds = re.findall('class="([^"]*)"', attributes)
    kinds += ["short"] if len(texts) <= SHORT else []
    widths = [len(text) for text in texts if re.search(r"\S {3,}\S", text)]
    kinds += ["wide"] if widths and FITS < max(widths) <= FITS_SMALL else []
    return " ".join(kinds)


def tables(body: str) -> str:
    """A wide table scrolls on a small screen; the page does not."""
    return re.sub(r"<table\b.*?</table>", r'<div class="table">\g<0></div>', body, flags=re.S)
