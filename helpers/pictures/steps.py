"""The strip above a picture: the notebooks in their order."""

from collections.abc import Collection

from helpers.pictures.svg import Picture

STEPS = {
    "00": "Start",
    "01": "1 Lambda",
    "02": "2 EKS",
    "03": "3 GKE",
    "04": "4 mTLS",
    "05": "5 Connect",
    "06": "6 Request",
    "99": "Clean up",
}
_LEFT, _TOP, _WIDTH, _HEIGHT, _DISTANCE = 12, 12, 110, 28, 118  # pixels


def draw_steps(picture: Picture, finished: Collection[str], here: str) -> None:
    """Notebooks that are finished have a tick; the one of that number is dark."""
    for place, (number, step) in enumerate(STEPS.items()):
        x, current = _LEFT + place * _DISTANCE, number == here
        picture.box(x, _TOP, _WIDTH, _HEIGHT, "here" if current else "step", _HEIGHT / 2)
        tick = " ✓" if number in finished else ""
        kind = "head mid on" if current else "note mid"
        picture.text(x + _WIDTH / 2, _TOP + 19, step + tick, kind)
