"""The picture of certificate chains: from each root down to the identities that proxies present."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from helpers.pictures.svg import Picture, width_of, wrapped

_WIDTH, _MARGIN = 960, 20
_HEIGHT, _LEVEL, _LINE = 62, 104, 17
_KINDS = {"gke": "gcp", "eks": "aws"}
_LEVELS = ("root", "intermediate", "certificate")


class Certificate(NamedTuple):
    """A certificate: its fingerprint, and a name to show."""

    fingerprint: str
    name: str


class Chain(NamedTuple):
    """What a proxy presents: the certificates from the root to its own, and the cloud that it is in."""

    cloud: str
    certificates: tuple[Certificate, ...]


def chains(given: Sequence[Chain], title: str, path: str = "") -> Picture:
    """Each certificate above those that it signed; `path` says what the first and the last proxy do."""
    names = [" ← ".join(each.name for each in reversed(chain.certificates)) for chain in given]
    picture = Picture(title, ". ".join(names), _WIDTH)
    picture.text(_MARGIN, 30, title, "head")
    places = _places(given)
    depth = max(len(chain.certificates) for chain in given)
    drawn = {each: chain.cloud for chain in given for each in chain.certificates}
    for signer, signed in dict.fromkeys(pair for chain in given for pair in pairwise(chain.certificates)):
        (x, level), (below, _) = places[signer.fingerprint], places[signed.fingerprint]
        y = _top(level) + _HEIGHT
        picture.arrow([(x, y), (x, y + 21), (below, y + 21), (below, _top(level + 1))], "line")
    for each, cloud in drawn.items():
        _draw(picture, each, *places[each.fingerprint], depth, _KINDS[cloud])
    if path:
        _connect(picture, given, places, path)
    return picture


def _places(given: Sequence[Chain]) -> dict[str, tuple[float, int]]:
    """The center and the level of each certificate: proxies side by side, a signer above what it signed."""
    column = (_WIDTH - 2 * _MARGIN) / len(given)
    below: dict[str, list[float]] = {}
    levels: dict[str, int] = {}
    for number, chain in enumerate(given):
        for level, each in enumerate(chain.certificates):
            below.setdefault(each.fingerprint, []).append(_MARGIN + column * (number + 0.5))
            levels[each.fingerprint] = level
    return {key: (sum(columns) / len(columns), levels[key]) for key, columns in below.items()}


def _top(level: int) -> float:
    return 52 + level * _LEVEL


def _draw(picture: Picture, each: Certificate, x: float, level: int, depth: int, kind: str) -> None:
    what = _LEVELS[-1] if level == depth - 1 else _LEVELS[min(level, 1)]
    lines = wrapped(each.name, 268)
    width = max(180, *(width_of(line) for line in lines)) + 24
    height = max(_HEIGHT, 28 + _LINE * len(lines))
    picture.box(x - width / 2, _top(level), width, height, "net" if level == 0 else kind)
    first = _top(level) + (height - _LINE * len(lines)) / 2 + 4
    picture.text(x, first, what, "note mid")
    for number, line in enumerate(lines, 1):
        picture.text(x, first + _LINE * number, line, "mid head" if level < depth - 1 else "mid")


def _connect(
    picture: Picture, given: Sequence[Chain], places: dict[str, tuple[float, int]], path: str
) -> None:
    (first, level), (last, _) = (
        places[chain.certificates[-1].fingerprint] for chain in (given[0], given[-1])
    )
    y = _top(level) + _HEIGHT
    picture.arrow([(first, y), (first, y + 26), (last, y + 26), (last, y + 2)], "path")
    picture.text((first + last) / 2, y + 46, path, "mid good")
