"""In a lab with empty clouds nothing exists, and a notebook names the one that must run first."""

import re

from tests.conftest import completed
from tests.test_series import RUNNER, TUTORIAL, exists_now


def test_before_the_first_notebook_nothing_exists(empty_lab):
    found = exists_now(empty_lab)
    assert set(found.values()) == {"not yet", "not open yet"}
    assert {"VPC", "GKE cluster", "path ingress gateway → internal ALB"} < set(found)


def test_out_of_order_a_notebook_names_the_one_to_run_first(empty_lab):
    numbers = [notebook.name[:2] for notebook in TUTORIAL[2:]]
    said = completed(empty_lab, *RUNNER, *numbers, "--go-on").stdout
    for notebook in TUTORIAL[2:]:
        assert re.search(rf"^{notebook.stem}, cell \d+: PrerequisiteError: .*0\d-[a-z]", said, re.M), said
