"""Draws the way of one request: places from top to bottom, the legs between them, and the time, to scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from helpers.pictures.hop import Hop, short
from helpers.pictures.svg import Picture, wrapped

_BANDS = {"GKE": "gcp", "EKS": "aws", "VPC": "aws", "AWS": "aws", "outside": "net"}
_CLOUDS = {"gcp": "Google Cloud", "aws": "AWS", "net": "Outside both clouds"}
_PLACES = {"GKE": "GKE cluster", "EKS": "EKS cluster", "VPC": "VPC"}
_BAND, _BOX, _SIDE, _LEG, _LANE, _EDGE = 20.0, 36.0, 212.0, 76.0, 640.0, 940.0  # x of each column
_BOX_HEIGHT, _LINE = 44.0, 15.0
ENDS = {"passed": "logged it", "refused": "refused", "unknown": "no log found", "never": "never reached"}
_LEGEND = (
    "A bar lasts until the answer was complete; the strong part of it is this place's own time. "
    "Clocks are not compared: each bar is in the middle of the one above."
)


@dataclass
class _Row:
    """A hop with the words beside its box, those of the leg to it, and where all that is."""

    hop: Hop
    own: float | None
    beside: list[tuple[str, str]]
    leg: list[tuple[str, str]]
    y: float = 0.0
    height: float = _BOX_HEIGHT


def draw(hops: Sequence[Hop], url: str, own: Sequence[float | None], words: str) -> Picture:
    """The picture; `own` is each hop's own time in seconds, `words` is the same as text."""
    picture = Picture(_title(hops, url), _description(hops))
    picture.words = words
    rows = [
        _Row(each, time, _beside(each), _leg(before, each))
        for each, time, before in zip(hops, own, [None, *hops[:-1]], strict=True)
    ]
    _place(rows)
    picture.text(_BAND, 34, url, "head")
    picture.text(_LANE, 34, "time, to scale", "small")
    _bands(picture, rows)
    for before, row in pairwise(rows):
        _draw_leg(picture, before, row)
    for row in rows:
        _draw_hop(picture, row)
    _draw_times(picture, rows)
    bottom = rows[-1].y + rows[-1].height + 34
    picture.text(_BAND, bottom, _LEGEND, "small")
    return picture


def _title(hops: Sequence[Hop], url: str) -> str:
    refused = next((each for each in hops if each.state == "refused"), None)
    end = f"refused by the {refused.name}" if refused else f"answered with {hops[0].status}"
    return f"The way of a request for {url}: {end}"


def _description(hops: Sequence[Hop]) -> str:
    return "; ".join(f"{each.name}: {each.status or ENDS[each.state]} {each.why}".strip() for each in hops)


def _place(rows: list[_Row]) -> None:
    """Give each row its y: a leg needs room for its words, a band for its name."""
    y, band = 46.0, ""
    for row in rows:
        new = _BANDS[row.hop.where]
        leg = max(26.0, 14 + _LINE * len(row.leg)) if row.leg or band else 0.0
        if new != band:
            leg = (leg + 12 if band else 0) + 28
        row.y = y + leg
        row.height = max(_BOX_HEIGHT, 8 + _LINE * len(row.beside))
        y, band = row.y + row.height, new


def _bands(picture: Picture, rows: list[_Row]) -> None:
    start = 0
    for index in range(1, len(rows) + 1):
        kind = _BANDS[rows[start].hop.where]
        if index < len(rows) and _BANDS[rows[index].hop.where] == kind:
            continue
        top, last = rows[start].y - 28, rows[index - 1]
        picture.box(_BAND, top, _LANE - 20 - _BAND, last.y + last.height + 12 - top, kind, 10)
        picture.text(_LANE - 36, top + 18, _CLOUDS[kind], "head end")
        start = index


def _beside(one: Hop) -> list[tuple[str, str]]:
    """The words at the right of a box."""
    fine = one.status[-3:-2] in ("2", "3")
    tone = {"passed": "good" if fine else "", "refused": "bad"}.get(one.state, "faint")
    lines = [(one.status or ENDS[one.state], f"head {tone}".strip())]
    places = dict.fromkeys(place for place in (one.called, one.address) if place)
    room = _LANE - 36 - _SIDE
    lines += [(line, "mono") for line in wrapped(" → ".join(places), room, 11, mono=True) if line]
    lines += [(line, f"small {tone}") for line in wrapped(one.why, room, 11.5) if line]
    return lines


def _leg(before: Hop | None, one: Hop) -> list[tuple[str, str]]:
    """The words beside the arrow to a hop: how it was called, and who showed which certificate."""
    if before is None or not (one.protocol or one.tls or one.server or one.client):
        return []
    how = f"{one.protocol} in {one.tls}" if one.tls else f"{one.protocol}, not encrypted"
    if one.name == "function" or not one.protocol:
        how = one.protocol or f"{one.tls}, no answer in it"
    elif one.state == "never":
        how = f"tried: {how}"
    lines = [(how, "small")]
    for side, name in (("server", one.server), ("client", one.client)):
        if name:
            words = wrapped(f"{side}: {short(name)}", _LANE - 36 - _LEG, 11, mono=True)
            lines += [(line, "mono") for line in words]
    return lines


def _draw_leg(picture: Picture, before: _Row, row: _Row) -> None:
    x, top, bottom = 56.0, before.y + before.height, row.y
    arrived = row.hop.state in ("passed", "unknown") or bool(row.hop.entry)
    stopped = not arrived and (row.hop.state == "refused" or _gave_up(before.hop))
    picture.arrow(
        [(x, top), (x, bottom - (14 if stopped else 0))],
        "way" if arrived else "no" if stopped else "lost",
        not stopped,
    )
    if stopped:
        picture.cross(x, bottom - 12)
    crossed = _BANDS[before.hop.where] != _BANDS[row.hop.where]
    y = top + (24 if crossed else 16) + 2
    for line, kind in row.leg:
        picture.text(_LEG, y, line, kind)
        y += _LINE


def _gave_up(one: Hop) -> bool:
    """Whether it was reached itself and could not get further."""
    return one.state == "refused" and bool(one.entry)


def _draw_hop(picture: Picture, row: _Row) -> None:
    kind = {"passed": "thing", "refused": "refused"}.get(row.hop.state, "never")
    tone = {"passed": "", "refused": " bad"}.get(row.hop.state, " faint")
    place = _PLACES.get(row.hop.where, "")
    picture.box(_BOX, row.y, _SIDE - 14 - _BOX, row.height, kind)
    middle = (_BOX + _SIDE - 14) / 2
    y = row.y + row.height / 2 + (-2 if place else 4)
    picture.text(middle, y, row.hop.name, f"head mid{tone}")
    if place:
        picture.text(middle, y + _LINE, place, "small mid")
    for index, (words, style) in enumerate(row.beside):
        picture.text(_SIDE, row.y + 15 + index * _LINE, words, style)


def _draw_times(picture: Picture, rows: list[_Row]) -> None:
    """Bars that nest: a hop's own time is what the next one does not explain."""
    timed = [row for row in rows if row.hop.seconds is not None]
    spans = _spans([row.hop.seconds or 0.0 for row in timed])
    for index, row in enumerate(timed):
        x, width = spans[index]
        y = row.y + 4
        untimed = index + 1 == len(timed) and _goes_on(row, rows)
        kind = "bad" if row.hop.state == "refused" else "span" if untimed else "own"
        picture.box(x, y, width, 14, kind, 2)
        if index + 1 < len(timed):
            inner, inside = spans[index + 1]
            picture.box(inner, y, inside, 14, "span", 0)
        took = f"{(row.hop.seconds or 0) * 1000:.1f} ms"
        mine = f", {(row.own or 0) * 1000:.1f} ms of them its own" if index + 1 < len(timed) else ""
        picture.text(_LANE, y + 30, took + mine, "small")


def _goes_on(row: _Row, rows: list[_Row]) -> bool:
    """Whether the request went further, so that this place's own time is not known."""
    return any(each.hop.state != "never" for each in rows[rows.index(row) + 1 :])


def _spans(seconds: Sequence[float]) -> list[tuple[float, float]]:
    """Where each bar starts and how wide it is: to scale, each in the middle of the one before."""
    spans: list[tuple[float, float]] = []
    scale = (_EDGE - _LANE) / max([*seconds, 1e-6])
    left, room = _LANE, _EDGE - _LANE
    for each in seconds:
        width = min(max(each * scale, 2.0), room)
        left, room = left + (room - width) / 2, width
        spans.append((left, width))
    return spans
