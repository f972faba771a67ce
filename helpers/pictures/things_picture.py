"""Draws what exists now: one layout for all stages, so that pictures can be compared."""

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
_BOX = {"none": "step", "unknown": "step", "making": "dash", "there": "thing", "broken": "refused"}
_AROUND = {**_BOX, "there": "net"}
_INK = {"none": "faint", "unknown": "faint", "making": "", "there": "", "broken": "bad"}
_SMALL, _HEAD, _MONO = 12.5, 14, 11  # pixels to reckon with: where the fonts are wide ones
_BOXES = {
    "eks/istiod": (496, 234, 226, 46),
    "eks/gateway": (496, 298, 226, 62),
    "alb": (752, 266, 164, 126),
    "target": (752, 532, 164, 64),
    "function": (484, 532, 228, 64),
    "gke/istiod": (184, 234, 180, 46),
    "gke/gateway": (184, 298, 180, 62),
    "gke/sleep": (44, 298, 104, 62),
}
_LEGEND = (
    "Solid: it is there. Dashed: it is being made. Faint: not there yet. Red: broken, and why. "
    "Green arrow: a way that is open."
)
_ROW = 329  # the gateways' middle


def draw(parts: Parts, here: str = "", title: str = "What exists now") -> svg.Picture:
    """The picture of these parts; `here` marks a stage in the bar, and what it makes by green edges."""
    picture = svg.Picture(title, _description(parts))
    picture.words = f"{title}\n{words(parts)}"
    _bar(picture, parts, here)
    _clouds(picture, parts)
    for key in _BOXES:
        _box(picture, key, parts[key], _lines(key, parts), new=key in STAGES.get(here, ()))
    _objects(picture, parts, "gke", 44, 320)
    _objects(picture, parts, "eks", 496, 226)
    _ways(picture, parts)
    picture.text(20, 632, _LEGEND, "small")
    return picture


def shortened(name: str, width: float) -> str:
    """A name in monospace, at most that wide: where it is too long, its middle is left out."""
    keep, short = len(name), name
    while svg.width_of(short, _MONO, mono=True) > width and keep > 2:
        keep -= 1
        short = f"{name[: (keep + 1) // 2]}…{name[len(name) - keep // 2 :]}"
    return short


def _cut(sentence: str, width: float) -> str:
    """A sentence, at most that wide: where it is too long, its end is left out."""
    first, *more = svg.wrapped(sentence, width - (8 if svg.width_of(sentence, _SMALL) > width else 0), _SMALL)
    return f"{first} …" if more else first


def _description(parts: Parts) -> str:
    said = []
    for how, what in (
        ("there", "There"),
        ("making", "Being made"),
        ("broken", "Broken"),
        ("none", "Not there yet"),
    ):
        names = [thing.name for key, thing in THINGS.items() if parts[key].how == how]
        if names:
            said.append(f"{what}: {', '.join(names)}.")
    ways = [name for name, is_open in parts.ways().items() if is_open]
    return " ".join([*said, f"Open ways: {', '.join(ways)}." if ways else "No way is open."])


def _bar(picture: svg.Picture, parts: Parts, here: str) -> None:
    """Stages whose things are all there have a tick."""
    for number, (stage, keys) in enumerate(STAGES.items()):
        x = 20 + number * 116.1
        picture.box(x, 16, 107, 24, "here" if stage == here else "step", radius=12)
        tick = " ✓" if keys and parts.all_there(*keys) else ""
        picture.text(x + 53.5, 32, stage + tick, "heret" if stage == here else "stept")


def _clouds(picture: svg.Picture, parts: Parts) -> None:
    picture.box(20, 94, 368, 514, "gcp", radius=10)
    picture.text(32, 114, "GCP", "head")
    picture.text(32, 144, "a network of its own, without a link to the VPC", "small")
    _line(picture, 32, 180, "Cloud NAT", parts["cloud-nat"], THINGS["cloud-nat"].notebook, 344)
    picture.box(460, 94, 480, 514, "aws", radius=10)
    picture.text(472, 114, "AWS", "head")
    _around(picture, "vpc", parts["vpc"], "VPC", (472, 124, 456, 396))
    for y, key, name in ((162, "subnets", "subnets"), (180, "nat", "NAT gateway")):
        _line(picture, 484, y, name, parts[key], THINGS[key].notebook, 420)
    _around(picture, "eks", parts["eks"], "EKS cluster", (484, 190, 250, 322))
    _around(picture, "gke", parts["gke"], "GKE cluster", (32, 190, 344, 322))


def _around(
    picture: svg.Picture, key: str, part: Part, name: str, place: tuple[float, float, float, float]
) -> None:
    """A frame around other things, with its name and state on the left and its values on the right."""
    x, y, width, height = place
    picture.box(x, y, width, height, _AROUND[part.how], radius=10)
    picture.text(x + 12, y + 20, name, f"head {_INK[part.how]}".strip())
    right, room = x + width - 12, width - svg.width_of(name, _HEAD) - 36
    if key == "vpc" and part.values:
        picture.text(right, y + 20, shortened("  ".join(part.values), room), "mono end")
        return
    if part.how == "none":
        note = f"notebook {THINGS[key].notebook} makes this"
        if key == "vpc":
            picture.text(right, y + 20, note, "small faint end")
        else:
            picture.text(x + 12, y + 37, note, "small faint")
        return
    state, _, reason = part.state.partition(": ")
    picture.text(right, y + 20, state, f"small end {_INK[part.how]}".strip())
    if reason:
        picture.text(x + 12, y + 37, _cut(reason, width - 24), "small bad")
    elif part.values:
        picture.text(x + 12, y + 37, _cut(", ".join(part.values), width - 24), "small")


def _line(
    picture: svg.Picture, x: float, y: float, name: str, part: Part, notebook: str, width: float
) -> None:
    if part.how == "none":
        picture.text(x, y, f"{name}: notebook {notebook} makes this", "small faint")
        return
    values = "" if part.how == "broken" else f"{', '.join(part.values)}, "
    picture.text(x, y, _cut(f"{name}: {values}{part.state}", width), f"small {_INK[part.how]}".strip())


def _lines(key: str, parts: Parts) -> list[tuple[str, str]]:
    """What stands in a box below its name: text and kind."""
    part = parts[key]
    if part.how == "unknown":
        return [("not known", "small faint")]
    if part.how == "none":
        return [(f"notebook {THINGS[key].notebook} makes this", "small faint")]
    bad = "small bad" if part.how == "broken" else "small"
    if key == "alb":
        lines = [(part.state, bad), *((value, "mono") for value in part.values)]
        return [*lines, (", ".join(parts["listeners"].values) or "no listener yet", "small")]
    if key.endswith("/gateway"):
        return [(part.state, bad), *((value, "mono") for value in part.values)]
    if part.how == "broken":
        return [(part.state, bad)]
    return [(", ".join([*part.values, part.state]) if key != "target" else part.state, bad)]


def _box(picture: svg.Picture, key: str, part: Part, lines: list[tuple[str, str]], new: bool) -> None:
    """A thing: its name and what is known of it, in the middle of its box."""
    x, y, width, height = _BOXES[key]
    picture.box(x, y, width, height, "new" if new and part.how == "there" else _BOX[part.how])
    fitted = [
        (line, kind)
        for text, kind in lines
        for line in _fitted(text, width - 12, kind, int((height - 8) // 17) - 1 - len(lines))
    ]
    line = y + height / 2 - 17 * len(fitted) / 2 + 4
    picture.text(
        x + width / 2,
        line,
        THINGS[key].name.partition(": ")[2] or THINGS[key].name,
        f"head mid {_INK[part.how]}".strip(),
    )
    for number, (text, kind) in enumerate(fitted, 1):
        picture.text(x + width / 2, line + 17 * number, text, f"{kind} mid")


def _fitted(text: str, width: float, kind: str, spare: int) -> list[str]:
    """A name in one line, or a sentence in as many as there is room for."""
    if kind == "mono":
        return [shortened(text, width)]
    lines, room = svg.wrapped(text, width, _SMALL), 1 + max(spare, 0)
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], _cut(" ".join(lines[room - 1 :]), width)]


def _objects(picture: svg.Picture, parts: Parts, cluster: str, x: float, width: float) -> None:
    """The Istio objects and Secrets of a cluster, in the order of their making; a tick says: it is there."""
    keys, objects = object_keys(cluster), OBJECTS[cluster]
    known = [parts[key].how for key in keys]
    there = known.count("there")
    picture.box(x, 374, width, 128, "thing" if there == len(keys) else "dash" if there else "step")
    missing = "not known" if "unknown" in known else f"notebook {objects.notebook} makes these"
    head = f"objects in {objects.namespace}" if there else missing
    picture.text(x + 20, 392, head, "small" if there else "small faint")
    for number, (key, (kind, name)) in enumerate(zip(keys, objects.names, strict=True)):
        y, is_there = 409 + number * 17, parts[key].how == "there"
        if is_there:
            picture.text(x + 6, y, "✓", "small good")
        picture.text(x + 20, y, kind, "small" if is_there else "small faint")
        fitted = shortened(name, width - 124)
        picture.text(x + 118, y, fitted, "mono" if is_there else "mono faint")


def _ways(picture: svg.Picture, parts: Parts) -> None:
    ways = parts.ways()
    picture.text(424, 312, "internet", "small mid")
    if ways["egress gateway → ingress gateway"]:
        picture.arrow([(148, _ROW), (184, _ROW)])
        picture.arrow([(364, _ROW), (496, _ROW)])
        picture.text(424, 348, "mTLS", "small mid good")
    if ways["ingress gateway → internal ALB"]:
        picture.arrow([(722, _ROW), (752, _ROW)])
    if parts["alb"].how != "none":
        picture.box(752, 52, 164, 30)
        picture.text(834, 71, "outside the VPC", "small mid")
        picture.arrow([(834, 82), (834, 118)], "no", head=False)
        picture.cross(834, 124)
        picture.text(822, 112, "no route to private addresses", "small end bad")
    if ways["internal ALB → Lambda function"]:
        picture.arrow([(834, 392), (834, 532)])
        picture.arrow([(752, 564), (712, 564)])
