"""Draws what exists now: one layout for all stages, so that pictures can be compared."""

from typing import NamedTuple

from helpers.base.contents import OBJECTS, object_keys
from helpers.pictures import svg
from helpers.pictures.things import THINGS, Part, Parts, words

STAGES = {
    "Start": (),
    "1 Lambda": ("alb", "listeners", "target", "function"),
    "2 EKS": ("eks", "eks/istiod", "eks/gateway"),
    "3 GKE": ("gke", "gke/istiod", "gke/gateway", "gke/sleep"),
    "4 mTLS": tuple(object_keys("eks")),
    "5 Connect": tuple(object_keys("gke")),
    "6 Request": (),
    "Clean up": (),
}
_BOX_KIND = {"missing": "step", "unknown": "step", "creating": "dash", "ready": "thing", "failed": "refused"}
_FRAME_KIND = {**_BOX_KIND, "ready": "net"}
_TEXT_KIND = {"missing": "faint", "unknown": "faint", "creating": "", "ready": "", "failed": "bad"}
# Widths of letters are reckoned with larger fonts than ours, for machines whose fonts are wide.
_SMALL, _HEAD = 12.5, 14

_LINE = 17  # pixels from one line of text to the next, as all that follow
_PADDING = 12  # from a frame to what is in it
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


_MARGIN = 20
_STEP = Place(_MARGIN, 16, 107, 24)  # the first of the bar
_STEP_DISTANCE = 116.1
_OUTSIDE = Place(752, 52, 164, 30)
_GCP, _AWS = Place(_MARGIN, 94, 368, 514), Place(460, 94, 480, 514)
_FRAMES = {
    "vpc": Place(472, 124, 456, 396),
    "eks": Place(484, 190, 250, 322),
    "gke": Place(32, 190, 344, 322),
}
_BOXES = {
    "eks/istiod": Place(496, 234, 226, 46),
    "eks/gateway": Place(496, 298, 226, 62),
    "alb": Place(752, 266, 164, 126),
    "target": Place(752, 532, 164, 64),
    "function": Place(484, 532, 228, 64),
    "gke/istiod": Place(184, 234, 180, 46),
    "gke/gateway": Place(184, 298, 180, 62),
    "gke/sleep": Place(44, 298, 104, 62),
}
_OBJECTS = {"gke": Place(44, 374, 320, 128), "eks": Place(496, 374, 226, 128)}
_TICK, _KIND, _NAME = 6, 20, 118  # columns in a box of objects
_INTERNET = (_GCP.right + _AWS.x) / 2
_CROSS = 124  # between the edge of the VPC and its load balancer
_LEGEND_Y = 632
_LEGEND = (
    "Solid: it is there. Dashed: it is being made. Faint: not there yet. Red: broken, and why. "
    "Green arrow: a way that is open."
)
_ROW = 329  # the middle of the gateways, where the paths between them are


def draw(parts: Parts, here: str = "", title: str = "What exists now") -> svg.Picture:
    """The picture of these parts; `here` marks a stage in the bar, and what it makes by green edges."""
    picture = svg.Picture(title, _description(parts))
    picture.words = f"{title}\n{words(parts)}"
    _bar(picture, parts, here)
    _clouds(picture, parts)
    for key in _BOXES:
        _box(picture, key, parts[key], _lines(key, parts), new=key in STAGES.get(here, ()))
    for cluster in _OBJECTS:
        _objects(picture, parts, cluster)
    _paths(picture, parts)
    picture.text(_MARGIN, _LEGEND_Y, _LEGEND, "small")
    return picture


def shortened(name: str, width: float) -> str:
    """A name in monospace, at most that wide: where it is too long, its middle is left out."""
    keep, short = len(name), name
    while svg.width_of(short, svg.MONO, mono=True) > width and keep > 2:
        keep -= 1
        short = f"{name[: (keep + 1) // 2]}…{name[len(name) - keep // 2 :]}"
    return short


def _cut(sentence: str, width: float) -> str:
    """A sentence, at most that wide: where it is too long, its end is left out."""
    first, *more = svg.wrapped(sentence, width - (8 if svg.width_of(sentence, _SMALL) > width else 0), _SMALL)
    return f"{first} …" if more else first


def _description(parts: Parts) -> str:
    said = []
    for phase, what in (
        ("ready", "There"),
        ("creating", "Being made"),
        ("failed", "Broken"),
        ("missing", "Not there yet"),
    ):
        names = [thing.name for key, thing in THINGS.items() if parts[key].phase == phase]
        if names:
            said.append(f"{what}: {', '.join(names)}.")
    paths = [name for name, is_open in parts.paths().items() if is_open]
    return " ".join([*said, f"Open ways: {', '.join(paths)}." if paths else "No way is open."])


def _bar(picture: svg.Picture, parts: Parts, here: str) -> None:
    """Stages whose things are all there have a tick."""
    for number, (stage, keys) in enumerate(STAGES.items()):
        place = _STEP._replace(x=_STEP.x + number * _STEP_DISTANCE)
        picture.box(*place, "here" if stage == here else "step", radius=place.height / 2)
        tick = " ✓" if keys and parts.all_ready(*keys) else ""
        picture.text(place.middle, place.y + 16, stage + tick, "heret" if stage == here else "stept")


def _clouds(picture: svg.Picture, parts: Parts) -> None:
    _cloud(picture, _GCP, "GCP")
    left, room = _GCP.x + _PADDING, _GCP.width - 2 * _PADDING
    picture.text(left, _GCP.y + 50, "a network of its own, without a link to the VPC", "small")
    _line(picture, (left, _GCP.y + 86), "Cloud NAT", parts["cloud-nat"], THINGS["cloud-nat"].notebook, room)
    _cloud(picture, _AWS, "AWS")
    _around(picture, "vpc", parts["vpc"], "VPC")
    vpc = _FRAMES["vpc"]
    left, room = vpc.x + _PADDING, vpc.width - 3 * _PADDING
    for y, key, name in ((38, "subnets", "subnets"), (56, "nat", "NAT gateway")):
        _line(picture, (left, vpc.y + y), name, parts[key], THINGS[key].notebook, room)
    _around(picture, "eks", parts["eks"], "EKS cluster")
    _around(picture, "gke", parts["gke"], "GKE cluster")


def _cloud(picture: svg.Picture, place: Place, name: str) -> None:
    picture.box(*place, name.lower(), _RADIUS)
    picture.text(place.x + _PADDING, place.y + 20, name, "head")


def _around(picture: svg.Picture, key: str, part: Part, name: str) -> None:
    """A frame around other things, with its name and state on the left and its values on the right."""
    place = _FRAMES[key]
    left, right, y = place.x + _PADDING, place.right - _PADDING, place.y + 20
    picture.box(*place, _FRAME_KIND[part.phase], _RADIUS)
    picture.text(left, y, name, f"head {_TEXT_KIND[part.phase]}".strip())
    if key == "vpc" and part.values:
        room = place.width - svg.width_of(name, _HEAD) - 3 * _PADDING
        picture.text(right, y, shortened("  ".join(part.values), room), "mono end")
        return
    if part.phase == "missing":
        note = f"notebook {THINGS[key].notebook} makes this"
        if key == "vpc":
            picture.text(right, y, note, "small faint end")
        else:
            picture.text(left, y + _LINE, note, "small faint")
        return
    state, _, reason = part.state.partition(": ")
    picture.text(right, y, state, f"small end {_TEXT_KIND[part.phase]}".strip())
    if said := reason or ", ".join(part.values):
        picture.text(left, y + _LINE, _cut(said, right - left), "small bad" if reason else "small")


def _line(
    picture: svg.Picture, at: tuple[float, float], name: str, part: Part, notebook: str, width: float
) -> None:
    if part.phase == "missing":
        picture.text(*at, f"{name}: notebook {notebook} makes this", "small faint")
        return
    values = "" if part.phase == "failed" else f"{', '.join(part.values)}, "
    picture.text(*at, _cut(f"{name}: {values}{part.state}", width), f"small {_TEXT_KIND[part.phase]}".strip())


def _lines(key: str, parts: Parts) -> list[tuple[str, str]]:
    """What stands in a box below its name: text and kind."""
    part = parts[key]
    if part.phase == "unknown":
        return [("not known", "small faint")]
    if part.phase == "missing":
        return [(f"notebook {THINGS[key].notebook} makes this", "small faint")]
    bad = "small bad" if part.phase == "failed" else "small"
    if key == "alb":
        lines = [(part.state, bad), *((value, "mono") for value in part.values)]
        return [*lines, (", ".join(parts["listeners"].values) or "no listener yet", "small")]
    if key.endswith("/gateway"):
        return [(part.state, bad), *((value, "mono") for value in part.values)]
    if part.phase == "failed":
        return [(part.state, bad)]
    return [(", ".join([*part.values, part.state]) if key != "target" else part.state, bad)]


def _box(picture: svg.Picture, key: str, part: Part, lines: list[tuple[str, str]], new: bool) -> None:
    """A thing: its name and what is known of it, in the middle of its box."""
    place = _BOXES[key]
    picture.box(*place, "new" if new and part.phase == "ready" else _BOX_KIND[part.phase])
    spare = int((place.height - 8) // _LINE) - 1 - len(lines)
    fitted = [
        (line, kind) for text, kind in lines for line in _fitted(text, place.width - _PADDING, kind, spare)
    ]
    top = place.y + place.height / 2 - _LINE * len(fitted) / 2 + 4
    name = THINGS[key].name.rpartition(": ")[2]  # the cluster is named around it
    picture.text(place.middle, top, name, f"head mid {_TEXT_KIND[part.phase]}".strip())
    for number, (text, kind) in enumerate(fitted, 1):
        picture.text(place.middle, top + _LINE * number, text, f"{kind} mid")


def _fitted(text: str, width: float, kind: str, spare: int) -> list[str]:
    """A name in one line, or a sentence in as many as there is room for."""
    if kind == "mono":
        return [shortened(text, width)]
    lines, room = svg.wrapped(text, width, _SMALL), 1 + max(spare, 0)
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], _cut(" ".join(lines[room - 1 :]), width)]


def _objects(picture: svg.Picture, parts: Parts, cluster: str) -> None:
    """The Istio objects and Secrets of a cluster, in the order of their making; a tick says: it is there."""
    keys, objects, place = object_keys(cluster), OBJECTS[cluster], _OBJECTS[cluster]
    known = [parts[key].phase for key in keys]
    there = known.count("ready")
    picture.box(*place, "thing" if there == len(keys) else "dash" if there else "step")
    missing = "not known" if "unknown" in known else f"notebook {objects.notebook} makes these"
    head = f"objects in {objects.namespace}" if there else missing
    top = place.y + 18
    picture.text(place.x + _KIND, top, head, "small" if there else "small faint")
    for number, (key, (kind, name)) in enumerate(zip(keys, objects.names, strict=True), 1):
        y, tone = top + number * _LINE, "" if parts[key].phase == "ready" else " faint"
        if not tone:
            picture.text(place.x + _TICK, y, "✓", "small good")
        picture.text(place.x + _KIND, y, kind, f"small{tone}")
        fitted = shortened(name, place.width - _NAME - _TICK)
        picture.text(place.x + _NAME, y, fitted, f"mono{tone}")


def _paths(picture: svg.Picture, parts: Parts) -> None:
    paths, alb = parts.paths(), _BOXES["alb"]
    picture.text(_INTERNET, _ROW - _LINE, "internet", "small mid")
    if paths["egress gateway → ingress gateway"]:
        _across(picture, "gke/sleep", "gke/gateway")
        _across(picture, "gke/gateway", "eks/gateway")
        picture.text(_INTERNET, _ROW + 19, "mTLS", "small mid good")
    if paths["ingress gateway → internal ALB"]:
        _across(picture, "eks/gateway", "alb")
    if parts["alb"].phase != "missing":
        picture.box(*_OUTSIDE)
        picture.text(alb.middle, _OUTSIDE.y + 19, "outside the VPC", "small mid")
        picture.arrow([(alb.middle, _OUTSIDE.bottom), (alb.middle, _CROSS - 6)], "no", head=False)
        picture.cross(alb.middle, _CROSS)
        picture.text(alb.middle - 12, _CROSS - 12, "no route to private addresses", "small end bad")
    if paths["internal ALB → Lambda function"]:
        target, function = _BOXES["target"], _BOXES["function"]
        picture.arrow([(alb.middle, alb.bottom), (alb.middle, target.y)])
        y = target.y + target.height / 2
        picture.arrow([(target.x, y), (function.right, y)])


def _across(picture: svg.Picture, start: str, end: str) -> None:
    """An arrow between two boxes of the gateways' row."""
    picture.arrow([(_BOXES[start].right, _ROW), (_BOXES[end].x, _ROW)])
