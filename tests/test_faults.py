"""A sample of `make faults`: the calls of a run without clusters, each with every fault."""

import pytest

from tests.faults.report import FAULTS, Trial


@pytest.mark.parametrize("name", [pytest.param("answer lost", marks=pytest.mark.slow), "all in turn"])
def test_runs_succeed_or_fail_with_one_clear_error_and_a_second_run_completes(name, empty_lab, tmp_path):
    faults = [FAULTS[name]] if name in FAULTS else list(FAULTS.values())
    figure = Trial(faults, empty_lab, clusters=False).until_all_is_tried(tmp_path)
    assert not figure.failures
    assert figure.calls > 80
    assert figure.runs == figure.at_once + figure.second
    assert figure.left == 0
