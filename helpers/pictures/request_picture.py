"""Draws the path of one request: hops from top to bottom, the calls between them, and the time, to scale."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from helpers.pictures.hop import Hop, milliseconds, short
from helpers.pictures.svg import Picture, wrapped

_CLOUD_OF = {"GKE": "gcp", "EKS": "aws", "VPC": "aws", "AWS": "aws", "outside": "net"}
_CLOUD_NAMES = {"gcp": "Google Cloud", "aws": "AWS", "net": "Outside both clouds"}
_PLACES = {"GKE": "GKE cluster", "EKS": "EKS cluster", "VPC": "VPC"}
# Columns from left to right, in pixels.
_CLOUD_LEFT = 12.0
_BOX_LEFT, _BOX_RIGHT = 24.0, 186.0
_ARROW_X = 40.0
_CALL_LEFT = 56.0  # the words beside an arrow
_ANSWER_LEFT, _WORDS_RIGHT = 200.0, 692.0  # the words beside a box; both kinds of words end at the right
_CLOUD_RIGHT = 704.0
_TIME_LEFT, _TIME_RIGHT = 716.0, 948.0
# Heights, in pixels.
_LINE = 18.0
_HEADING_Y = 34.0
_TOP = 46.0
_BOX_HEIGHT, _BOX_PADDING = 48.0, 8.0  # the least height of a box; above and below its words together
_ARROW_HEIGHT, _ARROW_PADDING = 28.0, 14.0  # the same for an arrow
_CLOUD_HEAD, _CLOUD_FOOT = 28.0, 12.0  # inside a cloud, above its first box and below its last
_CROSS_ABOVE = 12.0  # from a cross to the box that was not reached
_BAR_TOP, _BAR_HEIGHT, _BAR_LEAST = 4.0, 14.0, 2.0  # the last is a width, so that every bar can be seen
_TIME_BELOW = 34.0  # from the top of a bar to the words below it
_LEGEND_BELOW = 34.0
ENDS = {"passed": "logged it", "refused": "refused", "unknown": "no log found", "never": "never reached"}
_LEGEND = (
    "A bar is the time until the response was complete; its dark part is the hop's own time.",
    "Lengths are to scale. Start times are not shown, because the hops' clocks may differ.",
)


@dataclass
class _Row:
    """A hop with the words beside its box, those of the call to it, and where all that is."""

    hop: Hop
    own: float | None
    beside: list[tuple[str, str]]
    call: list[tuple[str, str]]
    y: float = 0.0
    height: float = _BOX_HEIGHT

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def cloud(self) -> str:
        return _CLOUD_OF[self.hop.where]


def draw(hops: Sequence[Hop], url: str, own: Sequence[float | None], words: str) -> Picture:
    """The picture; `own` is each hop's own time in seconds, `words` is the same as text."""
    picture = Picture(_title(hops, url), _description(hops))
    picture.words = words
    rows = [
        _Row(each, time, _beside(each), _call(before, each))
        for each, time, before in zip(hops, own, [None, *hops[:-1]], strict=True)
    ]
    _place(rows)
    picture.text(_CLOUD_LEFT, _HEADING_Y, url, "head")
    picture.text(_TIME_LEFT, _HEADING_Y, "time, to scale", "note")
    _draw_clouds(picture, rows)
    for before, row in pairwise(rows):
        _draw_call(picture, before, row)
    for row in rows:
        _draw_hop(picture, row)
    _draw_times(picture, rows)
    for number, line in enumerate(_LEGEND):
        picture.text(_CLOUD_LEFT, rows[-1].bottom + _LEGEND_BELOW + number * _LINE, line, "note")
    return picture


def _title(hops: Sequence[Hop], url: str) -> str:
    refused = next((each for each in hops if each.state == "refused"), None)
    end = f"refused by the {refused.name}" if refused else f"answered with {hops[0].status}"
    return f"The path of a request for {url}: {end}"


def _description(hops: Sequence[Hop]) -> str:
    return "; ".join(f"{each.name}: {each.status or ENDS[each.state]} {each.why}".strip() for each in hops)


def _place(rows: list[_Row]) -> None:
    """Give each row its y: an arrow needs room for its words, a cloud for its name."""
    bottom, cloud = _TOP, ""
    for row in rows:
        gap = max(_ARROW_HEIGHT, _ARROW_PADDING + _LINE * len(row.call)) if row.call or cloud else 0.0
        if row.cloud != cloud:
            gap = (gap + _CLOUD_FOOT if cloud else 0) + _CLOUD_HEAD
        row.y = bottom + gap
        row.height = max(_BOX_HEIGHT, _BOX_PADDING + _LINE * len(row.beside))
        bottom, cloud = row.bottom, row.cloud


def _draw_clouds(picture: Picture, rows: list[_Row]) -> None:
    for cloud, group in groupby(rows, key=lambda row: row.cloud):
        inside = list(group)
        top, bottom = inside[0].y - _CLOUD_HEAD, inside[-1].bottom + _CLOUD_FOOT
        picture.box(_CLOUD_LEFT, top, _CLOUD_RIGHT - _CLOUD_LEFT, bottom - top, cloud, 10)
        picture.text(_WORDS_RIGHT, top + 18, _CLOUD_NAMES[cloud], "head end")


def _beside(one: Hop) -> list[tuple[str, str]]:
    """The words at the right of a box."""
    fine = one.status[-3:-2] in ("2", "3")
    tone = {"passed": "good" if fine else "", "refused": "bad"}.get(one.state, "faint")
    lines = [(one.status or ENDS[one.state], f"head {tone}".strip())]
    places = dict.fromkeys(place for place in (one.called, one.address) if place)
    room = _WORDS_RIGHT - _ANSWER_LEFT
    lines += [(line, "mono") for line in wrapped(" → ".join(places), room, mono=True) if line]
    lines += [(line, f"note {tone}") for line in wrapped(one.why, room) if line]
    return lines


def _call(before: Hop | None, one: Hop) -> list[tuple[str, str]]:
    """The words beside the arrow to a hop: how it was called, and who presented which certificate."""
    if before is None or not (one.protocol or one.tls or one.server or one.client):
        return []
    how = f"{one.protocol} over {one.tls}" if one.tls else f"{one.protocol}, not encrypted"
    if one.name == "function" or not one.protocol:
        how = one.protocol or f"{one.tls}, no response"
    elif one.state == "never":
        how = f"tried: {how}"
    lines = [(how, "note")]
    for side, name in (("server", one.server), ("client", one.client)):
        if name:
            words = wrapped(f"{side}: {short(name)}", _WORDS_RIGHT - _CALL_LEFT, mono=True)
            lines += [(line, "mono") for line in words]
    return lines


def _draw_call(picture: Picture, before: _Row, row: _Row) -> None:
    arrived = row.hop.state in ("passed", "unknown") or bool(row.hop.entry)
    stopped = not arrived and (row.hop.state == "refused" or _gave_up(before.hop))
    kind = "path" if arrived else "no" if stopped else "lost"
    end = row.y - _CROSS_ABOVE - 2 if stopped else row.y
    picture.arrow([(_ARROW_X, before.bottom), (_ARROW_X, end)], kind, head=not stopped)
    if stopped:
        picture.cross(_ARROW_X, row.y - _CROSS_ABOVE)
    y = before.bottom + (18 if before.cloud == row.cloud else 31)  # below the edge of the cloud
    for number, (line, style) in enumerate(row.call):
        picture.text(_CALL_LEFT, y + number * _LINE, line, style)


def _gave_up(one: Hop) -> bool:
    """Whether it was reached itself and could not get further."""
    return one.state == "refused" and bool(one.entry)


def _draw_hop(picture: Picture, row: _Row) -> None:
    kind = {"passed": "thing", "refused": "refused"}.get(row.hop.state, "never")
    tone = {"passed": "", "refused": " bad"}.get(row.hop.state, " faint")
    place = _PLACES.get(row.hop.where, "")
    picture.box(_BOX_LEFT, row.y, _BOX_RIGHT - _BOX_LEFT, row.height, kind)
    middle = (_BOX_LEFT + _BOX_RIGHT) / 2
    y = row.y + row.height / 2 + (-2 if place else 4)
    picture.text(middle, y, row.hop.name, f"head mid{tone}")
    if place:
        picture.text(middle, y + _LINE, place, "note mid")
    for number, (words, style) in enumerate(row.beside, 1):
        picture.text(_ANSWER_LEFT, row.y + number * _LINE, words, style)


def _draw_times(picture: Picture, rows: list[_Row]) -> None:
    """Bars that start at the left: a hop's own time is what the next one does not explain."""
    timed = [row for row in rows if row.hop.seconds is not None]
    scale = (_TIME_RIGHT - _TIME_LEFT) / max([*(row.hop.seconds or 0.0 for row in timed), 1e-6])
    for number, row in enumerate(timed):
        last = number == len(timed) - 1
        y, took, own = row.y + _BAR_TOP, milliseconds(row.hop.seconds), milliseconds(row.own)
        width = max((row.hop.seconds or 0.0) * scale, _BAR_LEAST)
        if not last:
            picture.box(_TIME_LEFT, y, width, _BAR_HEIGHT, "span", 2)
            width = min(max((row.own or 0.0) * scale, _BAR_LEAST), width)
            took += f", {own} its own" if own != milliseconds(0.0) else ""
        untimed = last and _goes_on(row, rows)
        kind = "bad" if row.hop.state == "refused" else "span" if untimed else "own"
        picture.box(_TIME_LEFT, y, width, _BAR_HEIGHT, kind, 2)
        picture.text(_TIME_LEFT, y + _TIME_BELOW, took, "note")


def _goes_on(row: _Row, rows: list[_Row]) -> bool:
    """Whether the request went further, so that this hop's own time is not known."""
    return any(each.hop.state != "never" for each in rows[rows.index(row) + 1 :])
