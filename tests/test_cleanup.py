"""Whatever a run left when it ended, the clean-up finds; `make kills` has many more places."""

import time
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.faults.clouds import in_the_clouds
from tests.faults.kills import IN_GOOGLE, Place, at_call, clean_up, in_cell, kill

pytestmark = pytest.mark.xdist_group("empty lab")

PLACES = [
    *(at_call(number) for number in (1, 5, 12, 16, 19, 28, 34, 40, 45, 47)),
    IN_GOOGLE[1],
    in_cell("02:8", 3),
]


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_nothing_is_left_after_a_killed_run(place: Place, lab_environment, tmp_path):
    before = in_the_clouds(lab_environment)
    assert kill(place, lab_environment, tmp_path), (tmp_path / "run.log").read_text()[-3000:]
    assert in_the_clouds(lab_environment) - before or place == at_call(1)
    done = clean_up(lab_environment, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert in_the_clouds(lab_environment) == before


def test_load_balancers_outlive_a_cluster_deleted_before_its_services(lab_environment, tmp_path):
    """As in the lab, so on AWS: they hold the VPC's subnets until somebody deletes them."""
    before = in_the_clouds(lab_environment)
    assert kill(in_cell("02:end"), lab_environment, tmp_path), (tmp_path / "run.log").read_text()[-3000:]

    def client(service: str) -> Any:
        keys = lab_environment["AWS_ACCESS_KEY_ID"], lab_environment["AWS_SECRET_ACCESS_KEY"]
        session = boto3.Session(*keys, region_name=lab_environment["AWS_REGION"])
        return session.client(service, endpoint_url=lab_environment["AWS_ENDPOINT_URL"])

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
    done = clean_up(lab_environment, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert in_the_clouds(lab_environment) == before
