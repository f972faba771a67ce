"""Whatever a run left when it ended, the clean-up finds; `make kills` has the other places."""

import time
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.faults.clouds import in_the_clouds
from tests.faults.kills import IN_GOOGLE, Place, at_call, clean_up, in_cell, kill

PLACES = [at_call(12), at_call(34), at_call(45), IN_GOOGLE[1]]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_nothing_is_left_after_a_killed_run(place: Place, empty_lab, tmp_path):
    before = in_the_clouds(empty_lab)
    assert kill(place, empty_lab, tmp_path), (tmp_path / "run.log").read_text()[-3000:]
    assert in_the_clouds(empty_lab) - before
    done = clean_up(empty_lab, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert in_the_clouds(empty_lab) == before


def test_load_balancers_outlive_a_cluster_deleted_before_its_services(empty_lab, tmp_path):
    """As in the lab, so on AWS: they hold the VPC's subnets until somebody deletes them."""
    before = in_the_clouds(empty_lab)
    assert kill(in_cell("02:end"), empty_lab, tmp_path), (tmp_path / "run.log").read_text()[-3000:]

    def client(service: str) -> Any:
        keys = empty_lab["AWS_ACCESS_KEY_ID"], empty_lab["AWS_SECRET_ACCESS_KEY"]
        session = boto3.Session(*keys, region_name=empty_lab["AWS_REGION"])
        return session.client(service, endpoint_url=empty_lab["AWS_ENDPOINT_URL"])

    eks, elb, ec2 = client("eks"), client("elb"), client("ec2")
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
