"""Draws what exists now: one layout for all notebooks, so that pictures can be compared."""

from typing import NamedTuple

from helpers.base.contents import OBJECTS, object_keys
from helpers.pictures import svg
from helpers.pictures.steps import draw_steps
from helpers.pictures.things import THINGS, Part, Parts, Phase, creator, words

_BOX_KIND = {"missing": "step", "unknown": "step", "creating": "dash", "ready": "thing", "failed": "refused"}
_FRAME_KIND = {**_BOX_KIND, "ready": "net"}
_OWN_KIND = {**_BOX_KIND, "missing": "next", "creating": "next", "ready": "new"}
_TEXT_KIND = {"missing": "faint", "unknown": "faint", "creating": "", "ready": "", "failed": "bad"}

_LINE = 18  # pixels from one line of text to the next, as all that follow
_PADDING = 10  # from a frame to what is in it
_RADIUS = 10  # of a frame's corners


class Place(NamedTuple):
    """A rectangle in the picture, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


_MARGIN = 12
_OUTSIDE = Place(797, 48, 140, 28)
_GCP, _AWS = Place(_MARGIN, 88, 387, 528), Place(483, 88, 465, 528)
_FRAMES = {
    "vpc": Place(493, 118, 445, 426),
    "eks": Place(503, 188, 291, 346),
    "gke": Place(22, 188, 367, 346),
}
_BOXES = {
    "eks/istiod": Place(513, 236, 271, 46),
    "eks/gateway": Place(513, 292, 271, 64),
    "alb": Place(806, 256, 122, 136),
    "target": Place(797, 556, 140, 50),
    "function": Place(503, 556, 226, 50),
    "gke/istiod": Place(196, 236, 183, 46),
    "gke/gateway": Place(196, 292, 183, 64),
    "gke/sleep": Place(32, 292, 124, 64),
}
_OBJECTS = {"gke": Place(32, 366, 347, 158), "eks": Place(513, 366, 271, 158)}
_TICK, _KIND, _NAME = 5, 20, 138  # columns in a box of objects
_INTERNET = (_GCP.right + _AWS.x) / 2
_CROSS = 118  # the edge of the VPC
_ROW = 324  # the middle of the gateways, where the paths between them are
_LEGEND_Y = 640
_LEGEND = (
    "Solid: exists. Dashed: not ready yet. Green: created by this notebook. "
    "Faint: created by the notebook named. Red: failed."
)


def draw(parts: Parts, here: str = "", title: str = "What exists now") -> svg.Picture:
    """The picture of these parts; `here` is the number of the notebook whose things are green."""
    picture = svg.Picture(title, _description(parts))
    picture.words = f"{title}\n{words(parts, here)}"
    draw_steps(picture, parts.finished(here), here)
    _clouds(picture, parts, here)
    for key in _BOXES:
        _box(picture, key, parts[key], _lines(key, parts, here), here)
    for cluster in _OBJECTS:
        _objects(picture, parts, cluster, here)
    _paths(picture, parts)
    picture.text(_MARGIN, _LEGEND_Y, _LEGEND, "note")
    return picture


def _kind(key: str, part: Part, here: str, others: dict[str, str]) -> str:
    return (_OWN_KIND if THINGS[key].notebook == here else others)[part.phase]


def _cut(sentence: str, width: float) -> str:
    """A sentence, at most that wide: where it is too long, its end is left out."""
    if svg.width_of(sentence) <= width:
        return sentence
    return f"{svg.wrapped(sentence, width - svg.width_of(' …'))[0]} …"


def _description(parts: Parts) -> str:
    said = []
    for phase, what in (
        ("ready", "Exists"),
        ("creating", "Being created"),
        ("failed", "Failed"),
        ("missing", "Not created yet"),
    ):
        names = [thing.name for key, thing in THINGS.items() if parts[key].phase == phase]
        if names:
            said.append(f"{what}: {', '.join(names)}.")
    paths = [name for name, is_open in parts.paths().items() if is_open]
    return " ".join([*said, f"Open paths: {', '.join(paths)}." if paths else "No path is open."])


def _clouds(picture: svg.Picture, parts: Parts, here: str) -> None:
    _cloud(picture, _GCP, "gcp", "Google Cloud")
    gke, vpc = _FRAMES["gke"], _FRAMES["vpc"]
    left, room = gke.x + _PADDING, gke.width - 2 * _PADDING
    picture.text(left, vpc.y + 20, "its own network, no link to the VPC", "note")
    _line(picture, (left, vpc.y + 39), "cloud-nat", parts, here, room)
    _cloud(picture, _AWS, "aws", "AWS")
    _around(picture, "vpc", parts["vpc"], here)
    left, room = vpc.x + _PADDING, vpc.width - 2 * _PADDING
    for y, key in ((39, "subnets"), (58, "nat")):
        _line(picture, (left, vpc.y + y), key, parts, here, room)
    for key in ("eks", "gke"):
        _around(picture, key, parts[key], here)


def _cloud(picture: svg.Picture, place: Place, kind: str, name: str) -> None:
    picture.box(*place, kind, _RADIUS)
    picture.text(place.x + _PADDING, place.y + 20, name, "head")


def _around(picture: svg.Picture, key: str, part: Part, here: str) -> None:
    """A frame around other things, with its name and state on the left and its values on the right."""
    place = _FRAMES[key]
    left, right, y = place.x + _PADDING, place.right - _PADDING, place.y + 20
    picture.box(*place, _kind(key, part, here, _FRAME_KIND), _RADIUS)
    picture.text(left, y, THINGS[key].name, f"head {_TEXT_KIND[part.phase]}".strip())
    if part.phase == "missing":
        picture.text(right, y, creator(key, here), "note faint end")
        return
    if key == "vpc" and part.values:
        picture.text(right, y, "  ".join(part.values), "mono end")
        return
    state, _, reason = part.state.partition(": ")
    picture.text(right, y, state, f"note end {_TEXT_KIND[part.phase]}".strip())
    if said := reason or ", ".join(part.values):
        picture.text(left, y + _LINE, _cut(said, right - left), "note bad" if reason else "note")


def _line(
    picture: svg.Picture, at: tuple[float, float], key: str, parts: Parts, here: str, width: float
) -> None:
    """A thing that has no box."""
    part, name = parts[key], THINGS[key].name
    if part.phase == "missing":
        picture.text(*at, f"{name}: {creator(key, here)}", "note faint")
        return
    values = "" if part.phase == "failed" else f"{', '.join(part.values)}, "
    new = part.phase == "ready" and THINGS[key].notebook == here
    tone = "good" if new else _TEXT_KIND[part.phase]
    picture.text(*at, _cut(f"{name}: {values}{part.state}", width), f"note {tone}".strip())


def _lines(key: str, parts: Parts, here: str) -> list[tuple[str, str]]:
    """What stands in a box below its name: text and kind."""
    part = parts[key]
    if part.phase == "unknown":
        return [("not known", "note faint")]
    if part.phase == "missing":
        return [(creator(key, here), "note faint")]
    bad = "note bad" if part.phase == "failed" else "note"
    if key == "alb":
        listeners = parts["listeners"].values or ("no listener",)
        return [
            (part.state, bad),
            *((each, "mono") for each in part.values),
            *((each, "note") for each in listeners),
        ]
    if key.endswith("/gateway"):
        return [(part.state, bad), *((_address(value), "note") for value in part.values)]
    if part.phase == "failed":
        return [(part.state, bad)]
    return [(", ".join([*part.values, part.state]) if key != "target" else part.state, bad)]


def _address(value: str) -> str:
    """A host name of AWS's would need three lines; it is among the words."""
    return "behind a public load balancer" if value.endswith(".amazonaws.com") else value


def _box(picture: svg.Picture, key: str, part: Part, lines: list[tuple[str, str]], here: str) -> None:
    """A thing: its name and what is known of it, in the middle of its box."""
    place = _BOXES[key]
    picture.box(*place, _kind(key, part, here, _BOX_KIND))
    spare = int((place.height - 8) // _LINE) - 1 - len(lines)
    fitted = [
        (line, kind) for text, kind in lines for line in _fitted(text, place.width - _PADDING, kind, spare)
    ]
    top = place.y + place.height / 2 - _LINE * len(fitted) / 2 + 5
    name = THINGS[key].name.rpartition(": ")[2]  # the cluster is named around it
    picture.text(place.middle, top, name, f"head mid {_TEXT_KIND[part.phase]}".strip())
    for number, (text, kind) in enumerate(fitted, 1):
        picture.text(place.middle, top + _LINE * number, text, f"{kind} mid")


def _fitted(text: str, width: float, kind: str, spare: int) -> list[str]:
    """An address in one line, or a sentence in as many as there is room for."""
    if kind == "mono":
        return [text]
    lines, room = svg.wrapped(text, width), 1 + max(spare, 0)
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], _cut(" ".join(lines[room - 1 :]), width)]


def _objects(picture: svg.Picture, parts: Parts, cluster: str, here: str) -> None:
    """The Istio objects and Secrets of a cluster, in the order of creation; a tick says that one exists."""
    keys, objects, place = object_keys(cluster), OBJECTS[cluster], _OBJECTS[cluster]
    phases = {parts[key].phase for key in keys}
    phase: Phase = "ready" if phases == {"ready"} else "creating" if "ready" in phases else "missing"
    picture.box(*place, _kind(keys[0], Part(phase), here, _BOX_KIND))
    missing = "not known" if "unknown" in phases else creator(keys[0], here)
    y = place.y + 20
    picture.text(
        place.x + _KIND,
        y,
        f"{objects.namespace}: {missing}" if phase == "missing" else f"objects in {objects.namespace}",
        "note faint" if phase == "missing" else "note",
    )
    for key, (kind, name) in zip(keys, objects.names, strict=True):
        y, tone = y + _LINE, "" if parts[key].phase == "ready" else " faint"
        if not tone:
            picture.text(place.x + _TICK, y, "✓", "note good")
        picture.text(place.x + _KIND, y, kind, f"note{tone}")
        first, *more = svg.wrapped(name, place.width - _NAME, mono=True)
        picture.text(place.x + _NAME, y, first, f"mono{tone}")
        for line in more:
            y += _LINE
            picture.text(place.x + _NAME, y, line, f"mono{tone}")


def _paths(picture: svg.Picture, parts: Parts) -> None:
    paths, alb = parts.paths(), _BOXES["alb"]
    picture.text(_INTERNET, _ROW - _LINE, "internet", "note mid")
    if paths["egress gateway → ingress gateway"]:
        _across(picture, "gke/sleep", "gke/gateway")
        _across(picture, "gke/gateway", "eks/gateway")
        picture.text(_INTERNET, _ROW + 22, "mTLS", "note mid good")
    if paths["ingress gateway → internal ALB"]:
        _across(picture, "eks/gateway", "alb")
    if parts["alb"].phase != "missing":
        picture.box(*_OUTSIDE)
        picture.text(alb.middle, _OUTSIDE.y + 19, "outside the VPC", "note mid")
        picture.arrow([(alb.middle, _OUTSIDE.bottom), (alb.middle, _CROSS)], "no", head=False)
        picture.cross(alb.middle, _CROSS)
        picture.text(alb.middle - 14, _CROSS - 12, "no route to private addresses", "note end bad")
    if paths["internal ALB → Lambda function"]:
        target, function = _BOXES["target"], _BOXES["function"]
        picture.arrow([(alb.middle, alb.bottom), (alb.middle, target.y)])
        y = target.y + target.height / 2
        picture.arrow([(target.x, y), (function.right, y)])


def _across(picture: svg.Picture, start: str, end: str) -> None:
    """An arrow between two boxes of the gateways' row."""
    picture.arrow([(_BOXES[start].right, _ROW), (_BOXES[end].x, _ROW)])
