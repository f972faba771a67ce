"""Draws what exists now: one layout for all stages, so that pictures can be compared."""

from helpers import svg
from helpers.state_parts import OBJECTS, THINGS, Part, Parts, object_keys, words

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
_SMALL, _MONO = 11.5, 11  # pixels, as in svg.py
_BOXES = {
    "eks/istiod": (496, 234, 226, 46),
    "eks/gateway": (496, 298, 226, 62),
    "alb": (752, 266, 164, 126),
    "target": (752, 532, 164, 46),
    "function": (484, 532, 228, 46),
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
    """The picture of these parts; `here` marks a stage of the bar on top."""
    picture = svg.Picture(title, _description(parts))
    picture.words = f"{title}\n{words(parts)}"
    _bar(picture, parts, here)
    _clouds(picture, parts)
    for key in _BOXES:
        _box(picture, key, parts[key], _lines(key, parts))
    _objects(picture, parts, "gke", 44, 320)
    _objects(picture, parts, "eks", 496, 226)
    _ways(picture, parts)
    picture.text(20, 614, _LEGEND, "small")
    return picture


def shortened(text: str, width: float, size: float, mono: bool = False) -> str:
    """The text, at most that wide: where it is too long, its middle is left out."""
    keep = len(text)
    short = text
    while svg.width_of(short, size, mono) > width and keep > 2:
        keep -= 1
        short = f"{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}"
    return short


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
    picture.box(20, 94, 368, 496, "gcp", radius=10)
    picture.text(32, 114, "GCP", "head")
    picture.text(32, 144, "a network of its own, without a link to the VPC", "small")
    picture.box(460, 94, 480, 496, "aws", radius=10)
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
    left = svg.width_of(name, 12.5) + 20
    said = f"notebook {THINGS[key].notebook} makes this" if part.how == "none" else part.state
    if key == "vpc" and part.how != "none":
        said = "  ".join(part.values)
        picture.text(x + width - 12, y + 20, shortened(said, width - left - 12, _MONO, True), "mono end")
        return
    said = shortened(said, width - left - 12, _SMALL)
    picture.text(x + width - 12, y + 20, said, f"small end {_INK[part.how]}".strip())
    if part.values:
        picture.text(x + 12, y + 37, shortened(", ".join(part.values), width - 24, _SMALL), "small")


def _line(
    picture: svg.Picture, x: float, y: float, name: str, part: Part, notebook: str, width: float
) -> None:
    if part.how == "none":
        picture.text(x, y, f"{name}: notebook {notebook} makes this", "small faint")
        return
    said = f"{name}: {', '.join(part.values)} {part.state}"
    picture.text(x, y, shortened(said, width, _SMALL), f"small {_INK[part.how]}".strip())


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


def _box(picture: svg.Picture, key: str, part: Part, lines: list[tuple[str, str]]) -> None:
    """A thing: its name and what is known of it, in the middle of its box."""
    x, y, width, height = _BOXES[key]
    picture.box(x, y, width, height, _BOX[part.how])
    fitted = [
        (line, kind)
        for text, kind in lines
        for line in _fitted(text, width - 12, kind, int((height - 10) // 17) - 1 - len(lines))
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
    """In one line, or a sentence in as many as there is room for."""
    mono = kind == "mono"
    size = _MONO if mono else _SMALL
    lines = [text] if mono else svg.wrapped(text, width, size)
    if len(lines) > 1 + max(spare, 0):
        kept = lines[: max(spare, 0)]
        lines = [*kept, " ".join(lines[len(kept) :])]
    return [shortened(line, width, size, mono) for line in lines]


def _objects(picture: svg.Picture, parts: Parts, cluster: str, x: float, width: float) -> None:
    """The Istio objects and Secrets of a cluster, in the order of their making; a tick says: it is there."""
    keys, objects = object_keys(cluster), OBJECTS[cluster]
    there = sum(parts[key].how == "there" for key in keys)
    picture.box(x, 374, width, 128, "thing" if there == len(keys) else "dash" if there else "step")
    head = f"notebook {objects.notebook} makes these" if not there else f"objects in {objects.namespace}"
    picture.text(x + 20, 392, head, "small" if there else "small faint")
    for number, (key, (kind, name)) in enumerate(zip(keys, objects.names, strict=True)):
        y, is_there = 409 + number * 17, parts[key].how == "there"
        if is_there:
            picture.text(x + 6, y, "✓", "small good")
        picture.text(x + 20, y, kind, "small" if is_there else "small faint")
        fitted = shortened(name, width - 122, _MONO, True)
        picture.text(x + 116, y, fitted, "mono" if is_there else "mono faint")


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
        picture.arrow([(752, 555), (712, 555)])
