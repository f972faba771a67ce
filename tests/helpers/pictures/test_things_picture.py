"""The picture of what exists: legible, complete in its text alternative; the committed files are current."""

import re

import pytest

from helpers.pictures import svg, things_picture
from helpers.pictures.steps import STEPS
from helpers.pictures.things import THINGS, Part, Parts
from tests.helpers.pictures import geometry
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


def drawn(parts: Parts) -> str:
    return str(things_picture.draw(parts))


@every_state
@pytest.mark.parametrize("here", ["", "03", "05"])
def test_nothing_is_truncated_out_of_its_box_or_loose(parts, here):
    assert geometry.faults(str(things_picture.draw(parts, here))) == []


def test_an_overfull_box_is_detected():
    many = Part("ready", "active", tuple("1234567"))
    wide = Part("ready", "active", ("a-name-that-is-much-too-wide",))
    assert geometry.faults(drawn(Parts({**stages.after("01"), "alb": many})))
    assert "out of its box" in str(geometry.faults(drawn(Parts({**stages.after("01"), "alb": wide}))))


def test_small_text_truncated_names_loose_ends_and_crossed_words_are_detected():
    picture = svg.Picture("Title", "What is to be seen")
    picture.box(20, 20, 200, 40)
    picture.text(30, 45, "direct-lambda-…gateway", "mono")
    picture.arrow([(220, 40), (400, 40)], "dash", head=False)
    picture.text(300, 45, "words", "note")
    wrong = str(geometry.faults(str(picture).replace("14px", "11px")))
    assert all(words in wrong for words in ("11 px", "cut:", "loose end", "a line through"))


@every_state
def test_the_text_alternative_is_complete(parts):
    words = things_picture.draw(parts).words
    for key, thing in THINGS.items():
        (line,) = re.findall(rf"^{re.escape(thing.name)} {{2,}}(.+)$", words, re.M)
        part = parts[key]
        if part.phase in ("ready", "creating", "failed"):
            assert part.state in line and all(value in line for value in part.values)
        elif part.phase == "missing":
            assert line.split("  ")[0] == "not yet" and f"notebook {int(thing.notebook)}" in line
        else:
            assert line.startswith("not known")


def test_missing_things_are_outlined_and_no_path_is_drawn():
    svg_ = drawn(Parts())
    assert 'class="thing"' not in svg_ and 'class="path"' not in svg_ and 'class="no"' not in svg_
    assert 'class="refused"' not in svg_ and 'class="dash"' not in svg_
    assert len(re.findall(r"notebook \d<", svg_)) >= 8


@pytest.mark.parametrize(("notebook", "paths"), [("00", 0), ("01", 2), ("03", 2), ("04", 3), ("05", 5)])
def test_a_path_is_drawn_once_everything_it_needs_exists(notebook, paths):
    assert drawn(stages.after(notebook)).count('<path class="path"') == paths


@pytest.mark.parametrize("missing", ["gke/Secret/mtls-credential", "gke/sleep", "eks/gateway"])
def test_a_path_is_blocked_if_one_thing_is_missing(missing):
    parts = stages.after("05")
    del parts[missing]
    assert not parts.paths()["egress gateway → ingress gateway"]


def test_the_load_balancer_is_unreachable_from_outside_once_it_exists():
    assert '<path class="no"' in drawn(stages.after("01"))
    assert '<path class="no"' not in drawn(stages.after("00"))


def test_what_is_being_created_is_dashed_with_its_state():
    svg_ = drawn(stages.after("00"))
    assert svg_.count('<rect class="dash"') == 2
    assert ">CREATING<" in svg_ and ">PROVISIONING<" in svg_


def test_what_a_notebook_creates_is_green_in_its_picture_and_marked_new_in_words():
    picture = things_picture.draw(stages.after("03"), "03")
    assert str(picture).count('<rect class="new"') == 3 and picture.words.count(", new") == 3
    assert '<rect class="new"' not in drawn(stages.after("03"))
    before = str(things_picture.draw(stages.after("02"), "03"))
    assert before.count('<rect class="next"') == before.count(">this notebook<") == 3


def test_what_is_broken_is_red_with_the_reason():
    svg_ = drawn(BROKEN)
    assert svg_.count('<rect class="refused"') == 6
    assert "CrashLoopBackOff" in svg_ and "unhealthy:" in svg_ and "no free address" in svg_
    assert not BROKEN.paths()["internal ALB → Lambda function"]
    assert "refused" not in drawn(stages.after("05")).split("</style>")[1]


def test_a_long_name_wraps_after_punctuation_and_is_never_truncated():
    lines = svg.wrapped("direct-lambda-through-egress-gateway", 209, mono=True)
    assert lines == ["direct-lambda-through-", "egress-gateway"]


@pytest.mark.parametrize(
    ("parts", "here", "ticks"),
    [
        (stages.after("00"), "00", {"00"}),
        (stages.after("00"), "01", {"00"}),
        (stages.after("03"), "", {"00", "01", "02", "03"}),
        (stages.after("05"), "05", {"00", "01", "02", "03", "04", "05"}),
        (stages.after("05"), "06", {"00", "01", "02", "03", "04", "05", "06"}),
        (stages.after("04"), "06", {"00", "01", "02", "03", "04"}),
        (Parts(), "99", {"99"}),
        (Parts(), "00", set()),
    ],
)
def test_finished_steps_have_a_check_mark(parts, here, ticks):
    svg_ = str(things_picture.draw(parts, here))
    assert {number for number, step in STEPS.items() if f">{step} ✓<" in svg_} == ticks


@pytest.mark.parametrize("path", stages.DRAWN, ids=lambda path: path.stem)
def test_committed_pictures_are_what_the_code_draws(path):
    advice = "python -m tests.notebooks.stages draws it anew"
    assert path.read_text(encoding="utf-8") == str(stages.DRAWN[path]), advice
    assert geometry.faults(str(stages.DRAWN[path])) == []
