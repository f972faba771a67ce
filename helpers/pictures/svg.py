"""Pictures in the series' one style: boxes, words, arrows. Readable in light and dark theme and in print.

Nothing is fetched and nothing runs. All rules hold within `svg.mesh` only, so pictures and a page's own style
do not meet. Plain rules instead of CSS variables: some viewers of files know none.
"""

import hashlib
from collections.abc import Sequence
from html import escape

SIZE = 14  # of all text, in pixels: readable on a projector, where a picture is 960 wide
SANS = 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif'
_MONOSPACED = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
_FORM = f"""
text {{ font: {SIZE}px {SANS}; }}
.head {{ font-weight: 600; }}
.mono {{ font-family: {_MONOSPACED}; }}
.mid {{ text-anchor: middle; }}
.end {{ text-anchor: end; }}
.new, .next, .refused, .path, .no {{ stroke-width: 2; }}
.never {{ stroke-dasharray: 4 4; }}
.dash, .next, .lost {{ stroke-dasharray: 3 4; }}
"""
# class: (fill, stroke) in light, then in dark; an empty word leaves it as it is
_COLORS = {
    "text": ("#26282c", "", "#e6e7ea", ""),
    "note": ("#4b4f57", "", "#b6bac2", ""),
    "mono": ("#4b4f57", "", "#b6bac2", ""),
    "card": ("#fcfcfb", "#d6d6d2", "#1d1f23", "#3a3d44"),
    "aws": ("#fff7ea", "#c98a2b", "#2b241a", "#c98a2b"),
    "gcp": ("#eef4fd", "#5b86c9", "#1b2433", "#6d98da"),
    "net": ("#fcfcfb", "#b9bcc2", "#1d1f23", "#565b64"),
    "thing": ("#ffffff", "#7d828b", "#24272c", "#8b9098"),
    "new": ("#e7f6ec", "#15803d", "#17301f", "#4ade80"),
    "next": ("none", "#15803d", "none", "#4ade80"),
    "refused": ("#fef2f2", "#b91c1c", "#341d1f", "#f87171"),
    "never": ("none", "#b9bcc2", "none", "#565b64"),
    "step": ("none", "#d6d6d2", "none", "#3a3d44"),
    "here": ("#26282c", "", "#e6e7ea", ""),
    "on": ("#fcfcfb", "", "#1d1f23", ""),
    "path": ("none", "#15803d", "none", "#4ade80"),
    "no": ("none", "#b91c1c", "none", "#f87171"),
    "line": ("none", "#7d828b", "none", "#8b9098"),
    "dash": ("none", "#7d828b", "none", "#8b9098"),
    "lost": ("none", "#b9bcc2", "none", "#565b64"),
    "span": ("#cfe8d8", "none", "#1f4630", "none"),
    "own": ("#15803d", "none", "#4ade80", "none"),
    "good": ("#15803d", "", "#4ade80", ""),
    "bad": ("#b91c1c", "", "#f87171", ""),
    "faint": ("#6b7079", "", "#8b9098", ""),
    "number": ("#15803d", "", "#4ade80", ""),
}
_HEADS = {"path": "good", "no": "bad", "line": "faint", "dash": "faint", "lost": "faint"}
_MARGIN = 20.0


class Picture:
    """A drawing that grows downwards as things are put into it; sizes are in pixels.

    Shown in a notebook as inline SVG, whose text can be selected; elsewhere as an image, or as `words`.
    """

    def __init__(self, title: str, description: str, width: float = 960) -> None:
        self.title, self.description, self.width = title, description, width
        self.words = f"{title}\n{description}"
        self._parts: list[str] = []
        self._bottom = 0.0

    def box(
        self, x: float, y: float, width: float, height: float, kind: str = "thing", radius: float = 6
    ) -> None:
        """A rectangle: a thing, a new, next, refused or never thing, an aws, gcp or net around things."""
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
        self._put(f'<rect class="{kind}" {place} rx="{radius:g}"/>', y + height)

    def text(self, x: float, y: float, words: object, kind: str = "") -> None:
        """Words on the line y. Kinds, one or more: head, note, mono; mid, end; good, bad, faint, on."""
        style = f' class="{kind}"' if kind else ""
        self._put(f'<text{style} x="{x:g}" y="{y:g}">{escape(str(words))}</text>', y)

    def arrow(self, points: Sequence[tuple[float, float]], kind: str = "path", head: bool = True) -> None:
        """A line through points: path (green), no (red), line, dash, lost (grey), with a head at its end."""
        line = " L".join(f"{x:g} {y:g}" for x, y in points)
        end = f' marker-end="url(#ID-{_HEADS[kind]})"' if head else ""
        self._put(f'<path class="{kind}" d="M{line}"{end}/>', max(y for _, y in points))

    def cross(self, x: float, y: float) -> None:
        """No request gets through here."""
        self._put(f'<path class="no" d="M{x - 7:g} {y - 7:g} l14 14 m-14 0 l14 -14"/>', y + 7)

    def number(self, x: float, y: float, number: int) -> None:
        """A number in a circle."""
        self._put(f'<circle class="number" cx="{x:g}" cy="{y:g}" r="11"/>', y + 11)
        self.text(x, y + 5, number, "head mid on")

    def __str__(self) -> str:
        """The SVG. Its ids come from its content: two pictures on a page do not share any."""
        width, height = self.width, self._bottom + _MARGIN
        card = f'width="{width - 1:g}" height="{height - 1:g}" rx="10"'
        body = "\n".join(
            [
                f'<title id="ID-title">{escape(self.title)}</title>',
                f'<desc id="ID-desc">{escape(self.description)}</desc>',
                f"<style>{_STYLE}</style>",
                f"<defs>{''.join(_marker(kind) for kind in sorted(set(_HEADS.values())))}</defs>",
                f'<rect class="card" x="0.5" y="0.5" {card}/>',
                *self._parts,
            ]
        )
        name = "p" + hashlib.sha256(body.encode()).hexdigest()[:10]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="mesh" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" style="max-width: 100%; height: auto" role="img" '
            f'aria-labelledby="{name}-title {name}-desc">\n'
            + body.replace('"ID-', f'"{name}-').replace('"url(#ID-', f'"url(#{name}-')
            + "\n</svg>\n"
        )

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """JupyterLab shows image/svg+xml as an <img>, where no text can be selected; it prefers HTML."""
        svg = str(self)
        html = f'<figure style="margin: 0">{svg}</figure>'
        return {"text/html": html, "image/svg+xml": svg, "text/plain": self.words}

    def _put(self, part: str, bottom: float) -> None:
        self._parts.append(part)
        self._bottom = max(self._bottom, bottom)


def width_of(words: str, mono: bool = False, bold: bool = False) -> float:
    """How wide these words are in DejaVu, the widest of usual fonts, in pixels."""
    if mono:
        return len(words) * SIZE * 0.603
    return sum(_em(letter) for letter in words) * SIZE * (1.14 if bold else 1)


def wrapped(words: str, width: float, mono: bool = False) -> list[str]:
    """The words in lines of at most that width; a name that is wider breaks after punctuation."""
    lines = [""]
    for word in words.split():
        if lines[-1] and width_of(f"{lines[-1]} {word}", mono) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
        while width_of(lines[-1], mono) > width:
            fits = next(n for n in range(len(lines[-1]), 0, -1) if width_of(lines[-1][:n], mono) <= width)
            cut = max((n for n in range(1, fits + 1) if lines[-1][n - 1] in "-./_ "), default=fits)
            lines[-1:] = [lines[-1][:cut].rstrip(), lines[-1][cut:]]
    return lines


def _em(letter: str) -> float:
    if letter in "iljtfrI.,:;'|!()[]/ -":
        return 0.36
    return 0.95 if letter in "mwMW@%✓→" else 0.7 if letter.isupper() else 0.62


def _marker(kind: str) -> str:
    size = 'viewBox="0 0 10 10" refX="9" refY="5" markerWidth="10" markerHeight="10"'
    return (
        f'<marker id="ID-{kind}" {size} markerUnits="userSpaceOnUse" orient="auto">'
        f'<path class="{kind}" d="M0 0 L10 5 L0 10 z"/></marker>'
    )


def _rules() -> str:
    """Form and colors; the dark ones hold on screens only, so what is printed is light."""

    def rule(name: str, fill: str, stroke: str) -> str:
        selector = name if name == "text" else f".{name}"
        drawn = [f"{what}: {color};" for what, color in (("fill", fill), ("stroke", stroke)) if color]
        return f"svg.mesh {selector} {{ {' '.join(drawn)} }}"

    form = [
        ", ".join(f"svg.mesh {one.strip()}" for one in line.split(" {")[0].split(","))
        + " {"
        + line.split(" {")[1]
        for line in _FORM.strip().splitlines()
    ]
    light = [rule(name, *colors[:2]) for name, colors in _COLORS.items()]
    dark = [f"  {rule(name, *colors[2:])}" for name, colors in _COLORS.items()]
    return "\n".join(["", *form, *light, "@media screen and (prefers-color-scheme: dark) {", *dark, "}", ""])


_STYLE = _rules()
