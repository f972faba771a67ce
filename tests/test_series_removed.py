"""What the clean-up leaves of the series. It runs last in its group, as it deletes the meshes."""

import json
from typing import Any

from series.run import notebooks
from tests import messy, solutions
from tests.conftest import run
from tests.notebooks.compare import differences
from tests.test_series import BIN, RUNNER, exists_now, plain

NOTEBOOK = notebooks()[-1]


def test_outputs_match_and_nothing_is_left_in_either_cloud(meshes, tmp_path):
    run(plain(meshes), f"{BIN}/papermill", str(NOTEBOOK), f"{tmp_path}/out.ipynb")
    assert not (found := differences(tmp_path / "out.ipynb", NOTEBOOK)), found
    assert set(exists_now(meshes).values()) == {"not yet", "not open yet"}

    def aws(*words: str) -> dict[str, Any]:
        return json.loads(run(meshes, "aws", *words))

    assert aws("eks", "list-clusters")["clusters"] == []
    assert aws("elbv2", "describe-load-balancers")["LoadBalancers"] == []
    assert aws("lambda", "list-functions")["Functions"] == []
    tagged = aws("resourcegroupstaggingapi", "get-resources", "--tag-filters", "Key=Project")
    left = [found["ResourceARN"] for found in tagged["ResourceTagMappingList"]]
    # AWS lists a deleted NAT gateway, with that state, for about an hour.
    gateways = aws("ec2", "describe-nat-gateways")["NatGateways"]
    assert {gateway["State"] for gateway in gateways} <= {"deleted"}
    assert [arn for arn in left if ":natgateway/" not in arn] == []


def test_a_second_clean_up_finds_nothing_and_its_solutions_pass(meshes, tmp_path):
    run(meshes | {"IPYTHONDIR": str(tmp_path)}, *RUNNER, str(solutions.as_cells(NOTEBOOK, tmp_path)))


def test_nothing_was_written_to_the_readers_own_settings(meshes, messy_home):
    assert messy.files(messy_home) == messy.files(messy.home(messy_home.with_name("as-it-was")))
