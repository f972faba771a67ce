"""The clean-up finds everything that an interrupted run left; `make kills` covers more points.

The reader has resources of the same kinds and names in the same account. A run that gets past notebook 01
has not mistaken them for its own, and the clean-up keeps them.
"""

import sys
import time
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.conftest import completed
from tests.faults.clouds import client, in_the_clouds
from tests.faults.kills import IN_GOOGLE, Place, at_call, clean_up, in_cell, kill
from tests.neighbors import HOST, Neighbors, living_in


@pytest.fixture(scope="module", autouse=True)
def neighbors(empty_lab: dict[str, str]) -> Iterator[Neighbors]:
    with living_in(empty_lab) as neighbors:
        before = neighbors.records()
        yield neighbors
        assert neighbors.records() == before


PLACES = [at_call(12), at_call(34), at_call(45), IN_GOOGLE[1]]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_nothing_is_left_after_a_killed_run(place: Place, empty_lab, tmp_path):
    before = in_the_clouds(empty_lab)
    assert kill(place, empty_lab, tmp_path), (tmp_path / "run.log").read_text()[-3000:]
    assert in_the_clouds(empty_lab) - before
    done = clean_up(empty_lab, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert in_the_clouds(empty_lab) == before


def test_load_balancers_remain_if_the_cluster_is_deleted_before_its_services(empty_lab, neighbors, tmp_path):
    """In the lab as on AWS: they block the deletion of the VPC's subnets until they are deleted."""
    before = in_the_clouds(empty_lab)
    assert kill(in_cell("02:end"), empty_lab, tmp_path), (tmp_path / "run.log").read_text()[-3000:]
    inside_one_of_two_vpcs(empty_lab, neighbors)

    eks, elb, ec2 = (client(empty_lab, service) for service in ("eks", "elb", "ec2"))
    [name] = eks.list_clusters()["clusters"]
    [group] = eks.list_nodegroups(clusterName=name)["nodegroups"]
    eks.delete_nodegroup(clusterName=name, nodegroupName=group)
    while eks.list_nodegroups(clusterName=name)["nodegroups"]:
        time.sleep(0.5)
    eks.delete_cluster(name=name)
    while eks.list_clusters()["clusters"]:
        time.sleep(0.5)
    [balancer] = elb.describe_load_balancers()["LoadBalancerDescriptions"]
    [described] = elb.describe_tags(LoadBalancerNames=[balancer["LoadBalancerName"]])["TagDescriptions"]
    assert {"Key": f"kubernetes.io/cluster/{name}", "Value": "owned"} in described["Tags"]
    for refused in (
        lambda: ec2.delete_subnet(SubnetId=balancer["Subnets"][0]),
        lambda: ec2.delete_security_group(GroupId=balancer["SecurityGroups"][0]),
    ):
        with pytest.raises(ClientError, match="DependencyViolation"):
            refused()
    done = clean_up(empty_lab, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert in_the_clouds(empty_lab) == before


def inside_one_of_two_vpcs(environment: dict[str, str], neighbors: Neighbors) -> None:
    """`lab exec` accepts a VPC's id; each VPC has its own record for the same name."""

    def lab_exec(network: str) -> tuple[int, str]:
        curl = ("curl", "-sS", "--max-time", "10", f"http://{HOST}/hello-world")
        done = completed(environment, sys.executable, "-m", "lab", "exec", network, "--", *curl)
        return done.returncode, done.stdout + done.stderr

    assert lab_exec(neighbors.vpc) == (0, "hello")
    for unclear, hint in (("vpc", "name the VPC by its id"), ("vpc-0123456789", "create the VPC first")):
        code, said = lab_exec(unclear)
        assert code == 1 and hint in said and neighbors.vpc in said
        assert "there is no such network; networks now:" in said
