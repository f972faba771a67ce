"""The picture of what exists: legible, complete in words, and the committed ones are not out of date."""

import itertools
import re
import xml.etree.ElementTree as ET
from typing import NamedTuple

import pytest

from helpers.pictures import svg, things_picture
from helpers.pictures.things import THINGS, Part, Parts
from tests.notebooks import stages

LONG = "a" * 80 + ".us-east-1.elb.amazonaws.com"
WHY = "the last check failed with codes [502], because the function answered nothing that can be passed on"
BROKEN = Parts(
    {
        **stages.after("05"),
        "nat": Part("failed", "failed: the subnet has no free address", ("nat-0123456789abcdef0",)),
        "alb": Part("failed", f"failed: {WHY}", ("10.0.1.28",)),
        "target": Part("failed", f"unhealthy: {WHY}", ("the function",)),
        "function": Part("failed", "Failed", ("python3.13",)),
        "eks": Part("failed", f"FAILED: {WHY}", ("Kubernetes 1.35", "1 node")),
        "gke/gateway": Part("ready", "ready", ("198.51.100.51",)),
        "eks/gateway": Part("failed", "CrashLoopBackOff: the pod is not ready", (LONG,)),
        "gke/sleep": Part("failed", "Unschedulable", ()),
    }
)
UNKNOWN = Parts(
    {
        **stages.after("05"),
        **{key: Part("unknown") for key in THINGS if key.startswith("gke/")},
        "gke": Part(
            "ready", "RUNNING", ("Kubernetes 1.35.4-gke.1000", f"no answer from the API server: {WHY}")
        ),
    }
)
STATES = {**{number: stages.after(number) for number in stages.MADE_BY}, "empty": Parts()}
STATES |= {"failed": BROKEN, "unknown": UNKNOWN}
every_state = pytest.mark.parametrize("parts", STATES.values(), ids=STATES.keys())


class Text(NamedTuple):
    words: str
    left: float
    right: float
    bottom: float


def texts(picture: svg.Picture) -> list[Text]:
    found = []
    for one in ET.fromstring(str(picture)).iter("{http://www.w3.org/2000/svg}text"):
        kinds = one.get("class", "").split()
        x, y, words = float(one.get("x", "")), float(one.get("y", "")), one.text or ""
        mono = "mono" in kinds
        size = 11 if mono else 14 if "head" in kinds else 12.5  # as on a machine with wide fonts
        width = svg.width_of(words, size, mono)
        centred = bool({"mid", "stept", "heret"} & set(kinds))
        left = x - width / 2 if centred else x - width if "end" in kinds else x
        found.append(Text(words, left, left + width, y))
    return found


def drawn(parts: Parts) -> str:
    return str(things_picture.draw(parts))


@every_state
def test_texts_are_inside_the_card_and_do_not_meet(parts):
    found = texts(things_picture.draw(parts))
    assert all(text.left >= 0 and text.right <= 960 for text in found)
    for one, other in itertools.combinations(found, 2):
        apart = one.right <= other.left or other.right <= one.left or abs(one.bottom - other.bottom) >= 12
        assert apart, (one, other)


def outside(parts: Parts) -> list[str]:
    """Boxes with a text that runs out of them."""
    found, wrong = texts(things_picture.draw(parts)), []
    for key, (x, y, width, height) in things_picture._BOXES.items():
        mine = [t for t in found if x <= (t.left + t.right) / 2 <= x + width]
        inside = [t for t in mine if y < t.bottom <= y + height + 12]
        if any(t.left < x or t.right > x + width or t.bottom > y + height - 4 for t in inside):
            wrong.append(key)
    return wrong


@every_state
def test_what_stands_in_a_box_stays_in_it(parts):
    assert outside(parts) == []


def test_a_box_with_too_much_in_it_is_noticed():
    many = Part("ready", "active", tuple("1234567"))
    assert outside(Parts({**stages.after("01"), "alb": many})) == ["alb"]


@every_state
def test_the_words_are_complete(parts):
    words = things_picture.draw(parts).words
    for key, thing in THINGS.items():
        (line,) = re.findall(rf"^{re.escape(thing.name)} {{2,}}(.+)$", words, re.M)
        part = parts[key]
        if part.phase in ("ready", "creating", "failed"):
            assert part.state in line and all(value in line for value in part.values)
        elif part.phase == "missing":
            assert line.split("  ")[0] == "not yet" and f"notebook {thing.notebook} makes it" in line
        else:
            assert line.startswith("not known")


def test_nothing_there_is_outlines_and_no_way():
    svg_ = drawn(Parts())
    assert 'class="thing"' not in svg_ and 'class="way"' not in svg_ and 'class="no"' not in svg_
    assert 'class="refused"' not in svg_ and 'class="dash"' not in svg_
    assert svg_.count("makes this<") >= 8


@pytest.mark.parametrize(("notebook", "ways"), [("00", 0), ("01", 2), ("03", 2), ("04", 3), ("05", 5)])
def test_a_way_is_drawn_when_all_it_needs_is_there(notebook, ways):
    assert drawn(stages.after(notebook)).count('<path class="way"') == ways


@pytest.mark.parametrize("missing", ["gke/Secret/mtls-credential", "gke/sleep", "eks/gateway"])
def test_a_way_closes_when_one_thing_is_missing(missing):
    parts = stages.after("05")
    del parts[missing]
    assert not parts.paths()["egress gateway → ingress gateway"]


def test_the_load_balancer_is_closed_to_the_outside_once_it_exists():
    assert '<path class="no"' in drawn(stages.after("01"))
    assert '<path class="no"' not in drawn(stages.after("00"))


def test_what_is_being_made_is_dashed_with_its_state():
    svg_ = drawn(stages.after("00"))
    assert svg_.count('<rect class="dash"') == 2
    assert ">CREATING<" in svg_ and ">PROVISIONING<" in svg_


def test_what_a_notebook_makes_has_green_edges_in_its_picture():
    assert str(things_picture.draw(stages.after("03"), "3 GKE")).count('<rect class="new"') == 3
    assert '<rect class="new"' not in drawn(stages.after("03"))


def test_what_is_broken_is_red_with_the_reason():
    svg_ = drawn(BROKEN)
    assert svg_.count('<rect class="refused"') == 6
    assert "CrashLoopBackOff" in svg_ and "unhealthy:" in svg_ and "no free address" in svg_
    assert not BROKEN.paths()["internal ALB → Lambda function"]
    assert "refused" not in drawn(stages.after("05")).split("</style>")[1]


def test_a_long_name_is_shortened_in_its_middle_and_a_short_one_is_not():
    short = things_picture.shortened(LONG, 200)
    assert short.startswith("aaaa") and short.endswith("amazonaws.com") and "…" in short
    assert svg.width_of(short, 11, mono=True) <= 200
    assert things_picture.shortened("198.51.100.51", 200) == "198.51.100.51"


def test_all_stages_that_are_complete_have_a_tick():
    assert [stage for stage in things_picture.STAGES if f">{stage} ✓<" in drawn(stages.after("03"))] == [
        "1 Lambda",
        "2 EKS",
        "3 GKE",
    ]


@pytest.mark.parametrize("path", stages.DRAWN, ids=lambda path: path.stem)
def test_a_committed_picture_is_what_the_code_draws(path):
    advice = "python -m tests.notebooks.stages draws it anew"
    assert path.read_text(encoding="utf-8") == str(stages.DRAWN[path]), advice
