"""Visible faults in a picture: text that is truncated, too small or outside its box, and loose line ends."""

import itertools
import re
import xml.etree.ElementTree as ET
from typing import NamedTuple

from helpers.pictures import svg

_SPACE = "{http://www.w3.org/2000/svg}"
_MARGIN = 3  # pixels, from a text to the edge of its box


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float
    words: str = ""

    def holds(self, x: float, y: float) -> bool:
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def touches(self, x: float, y: float) -> bool:
        """Whether the point is on an edge, within two pixels."""
        grown = Box(self.left - 2, self.top - 2, self.right + 2, self.bottom + 2)
        shrunk = Box(self.left + 2, self.top + 2, self.right - 2, self.bottom - 2)
        return grown.holds(x, y) and not shrunk.holds(x, y)

    def meets(self, other: "Box") -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def texts(root: ET.Element) -> list[Box]:
    """The bounding box of each text, estimated with the widest common fonts."""
    found = []
    for one in root.iter(f"{_SPACE}text"):
        kinds = one.get("class", "").split()
        x, y, words = float(one.get("x", "")), float(one.get("y", "")), one.text or ""
        width = svg.width_of(words, "mono" in kinds, "head" in kinds)
        left = x - width / 2 if "mid" in kinds else x - width if "end" in kinds else x
        found.append(Box(left, y - 11, left + width, y + 3, words))
    return found


def boxes(root: ET.Element) -> list[Box]:
    """All rectangles and circles."""
    found = []
    for one in root.iter(f"{_SPACE}circle"):
        x, y, radius = (float(one.get(name, "0")) for name in ("cx", "cy", "r"))
        found.append(Box(x - radius, y - radius, x + radius, y + radius))
    for one in root.iter(f"{_SPACE}rect"):
        x, y, width, height = (float(one.get(name, "0")) for name in ("x", "y", "width", "height"))
        found.append(Box(x, y, x + width, y + height))
    return found


def lines(root: ET.Element) -> list[tuple[str, list[tuple[float, float]]]]:
    """The class and the points of each line, except crosses and arrowheads."""
    found = []
    for one in root.iter(f"{_SPACE}path"):
        points = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", one.get("d", ""))
        if len(points) > 1 and "z" not in one.get("d", ""):
            found.append((one.get("class", ""), [(float(x), float(y)) for x, y in points]))
    return found


def _on(point: tuple[float, float], way: list[tuple[float, float]]) -> bool:
    """Whether the point is on a horizontal line."""
    x, y = point
    return any(y == one[1] == other[1] and one[0] <= x <= other[0] for one, other in itertools.pairwise(way))


def faults(picture: str) -> list[str]:
    """What is wrong, in words."""
    root = ET.fromstring(picture)
    found = [f"text of {size} px" for size in re.findall(r"([\d.]+)px", picture) if float(size) < 14]
    all_texts, all_boxes = texts(root), boxes(root)
    for text in all_texts:
        around = [
            one for one in all_boxes if one.holds((text.left + text.right) / 2, (text.top + text.bottom) / 2)
        ]
        inner = min(around, key=lambda one: (one.right - one.left) * (one.bottom - one.top), default=None)
        if inner is None or not (
            inner.left + _MARGIN <= text.left
            and text.right <= inner.right - _MARGIN
            and inner.top <= text.top
            and text.bottom <= inner.bottom
        ):
            found.append(f"out of its box: {text.words}")
        if re.search(r"\w…|…\w", text.words.replace("spiffe://…", "")):
            found.append(f"cut: {text.words}")
    for one, other in itertools.combinations(all_texts, 2):
        if one.meets(other):
            found.append(f"one over the other: {one.words} | {other.words}")
    for kind, points in lines(root):
        for (x, y), (x2, y2) in itertools.pairwise(points):
            segment = Box(min(x, x2) - 1, min(y, y2) - 1, max(x, x2) + 1, max(y, y2) + 1)
            straight = x == x2 or y == y2
            found += [
                f"a line through: {text.words}" for text in all_texts if straight and segment.meets(text)
            ]
        ends = [points[0], *([] if kind == "no" else [points[-1]])]  # a cross may be in front of the box
        others = [way for _, way in lines(root) if way != points]
        found += [
            f"a loose end at {end}"
            for end in ends
            if not any(one.touches(*end) for one in all_boxes) and not any(_on(end, way) for way in others)
        ]
    return found
