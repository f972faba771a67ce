"""A machine passes only if it completed every step, looked for leftovers and found nothing."""

import pytest

from tests.machines.machine import Kind
from tests.machines.result import Result

GOOD = [
    "@@ booted Debian GNU/Linux 12 (bookworm), Linux 6.1.0, cgroup2fs, Python 3.11.2",
    "@@ setup passed 600",
    "@@ tutorial passed 1830",
    "@@ down passed 66",
    "@@ looked 2500",
]


def result(lines: list[str]) -> Result:
    made = Result()
    for line in lines:
        made.read(line)
    return made


def test_a_passing_run():
    good = result(GOOD)
    assert good.passed
    assert good.row(Kind.TCG)[1:] == ["TCG", "10.0 min", "30.5 min", "1.1 min", "nothing"]


@pytest.mark.parametrize("missing", GOOD[1:])
def test_a_step_that_was_not_reached(missing):
    assert not result([line for line in GOOD if line != missing]).passed


def test_a_failed_step():
    failed = result([*GOOD[:2], "@@ tutorial failed 60"])
    assert not failed.passed
    assert failed.row(Kind.KVM)[3:] == ["failed after 1.0 min", "not reached", "not reached"]


def test_leftovers():
    left = result([*GOOD, "@@ left > mount /run/istio-lab/lab/net/vpc nsfs"])
    assert not left.passed
    assert "/run/istio-lab/lab/net/vpc" in left.row(Kind.UML)[-1]
