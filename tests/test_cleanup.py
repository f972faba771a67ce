"""Whatever a run left when it ended, the clean-up finds; `make kills` has many more places."""

import pytest

from tests.faults.clouds import in_the_clouds
from tests.faults.kills import Place, at_call, clean_up, in_cell, kill

PLACES = [*(at_call(number) for number in (1, 5, 12, 16, 19, 28, 34, 39, 41)), in_cell("02:8", 3)]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_nothing_is_left_after_a_killed_run(place: Place, lab_environment, tmp_path):
    before = in_the_clouds(lab_environment)
    assert kill(place, lab_environment, tmp_path), (tmp_path / "run.log").read_text()[-3000:]
    assert in_the_clouds(lab_environment) - before or place == at_call(1)
    done = clean_up(lab_environment, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert in_the_clouds(lab_environment) == before
