"""EKS's states, errors and descriptions. The clusters are fakes here; the series starts real ones."""

import json
import re
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path
from threading import Event

import pytest
import yaml
from botocore.exceptions import ClientError, WaiterError

from lab.aws import delays
from tests.lab.aws.conftest import FakeCluster, cli_environment

QUICK = {"Delay": 1, "MaxAttempts": 40}


@pytest.fixture(scope="module")
def eks(client):
    return client("eks")


@pytest.fixture
def settings(network, role):
    """A valid request."""
    return {
        "name": "tutorial",
        "roleArn": role("eks.amazonaws.com"),
        "resourcesVpcConfig": {"subnetIds": network.subnet_ids},
        "tags": {"project": "tutorial"},
    }


@pytest.fixture
def cluster(eks, settings):
    created = eks.create_cluster(**settings)["cluster"]
    assert (created["status"], created.get("endpoint")) == ("CREATING", None)
    eks.get_waiter("cluster_active").wait(name="tutorial", WaiterConfig=QUICK)
    yield eks.describe_cluster(name="tutorial")["cluster"]
    delete(eks, "tutorial")


@pytest.fixture
def node_group(eks, cluster, network, role):
    group = {"clusterName": "tutorial", "nodegroupName": "nodes"}
    created = eks.create_nodegroup(
        **group,
        subnets=network.subnet_ids[1:2],
        nodeRole=role("ec2.amazonaws.com"),
        instanceTypes=["t3.large"],
        labels={"tier": "front"},
        tags={"project": "tutorial"},
    )["nodegroup"]
    assert created["status"] == "CREATING"
    eks.get_waiter("nodegroup_active").wait(**group, WaiterConfig=QUICK)
    yield eks.describe_nodegroup(**group)["nodegroup"]
    eks.delete_nodegroup(**group)
    eks.get_waiter("nodegroup_deleted").wait(**group, WaiterConfig=QUICK)


def delete(eks, name: str) -> None:
    assert eks.delete_cluster(name=name)["cluster"]["status"] == "DELETING"
    eks.get_waiter("cluster_deleted").wait(name=name, WaiterConfig=QUICK)
    with pytest.raises(eks.exceptions.ResourceNotFoundException):
        eks.describe_cluster(name=name)


def test_a_cluster_is_described_as_by_eks(client, cluster, network):
    assert cluster["endpoint"] == "https://127.0.0.1:6443"
    assert cluster["version"] == "1.35"
    assert cluster["certificateAuthority"]["data"].startswith("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t")
    assert cluster["identity"]["oidc"]["issuer"].startswith("https://oidc.eks.eu-central-1.amazonaws.com/id/")
    assert cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "172.20.0.0/16"
    config = cluster["resourcesVpcConfig"]
    assert config["vpcId"] == network.vpc_id
    filters = [{"Name": "group-id", "Values": [config["clusterSecurityGroupId"]]}]
    interfaces = client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    assert {eni["Description"] for eni in interfaces} == {"Amazon EKS tutorial"}


def test_a_node_has_an_address_of_its_subnet_a_name_and_labels(fake_clusters, node_group):
    assert (node_group["status"], node_group["version"]) == ("ACTIVE", "1.35")
    name, address, labels, _ = fake_clusters[-1].node
    assert address.startswith("10.0.2.")
    assert name == f"ip-{address.replace('.', '-')}.eu-central-1.compute.internal"
    assert labels == {
        "eks.amazonaws.com/nodegroup": "nodes",
        "eks.amazonaws.com/capacityType": "ON_DEMAND",
        "node.kubernetes.io/instance-type": "t3.large",
        "topology.kubernetes.io/region": "eu-central-1",
        "topology.kubernetes.io/zone": "eu-central-1b",
        "tier": "front",
    }
    assert re.fullmatch(r"aws:///eu-central-1b/i-[0-9a-f]{17}", fake_clusters[-1].provider_id)


def test_pods_have_addresses_of_the_nodes_subnet(client, fake_clusters, node_group):
    pods, ec2 = fake_clusters[-1].node[3], client("ec2")
    subnet_id = node_group["subnets"][0]
    (subnet,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    assert pods.subnet_of(IPv4Network(subnet["CidrBlock"]))
    here = [{"Name": "subnet-id", "Values": [subnet_id]}]
    interfaces = ec2.describe_network_interfaces(Filters=here)["NetworkInterfaces"]
    node = next(one for one in interfaces if one["Description"] == "Node of tutorial/nodes")
    addresses = [one["PrivateIpAddress"] for one in node["PrivateIpAddresses"]]
    assert addresses == [node["PrivateIpAddress"], *map(str, pods.hosts())]
    used = sum(len(one["PrivateIpAddresses"]) for one in interfaces)
    assert subnet["AvailableIpAddressCount"] == 251 - used


def test_resources_in_use_cannot_be_deleted(client, eks, cluster, node_group, network):
    with pytest.raises(eks.exceptions.ResourceInUseException, match="Cluster has nodegroups attached"):
        eks.delete_cluster(name="tutorial")
    with pytest.raises(ClientError, match="DependencyViolation"):
        client("ec2").delete_subnet(SubnetId=network.subnet_ids[1])
    with pytest.raises(ClientError, match="DependencyViolation"):
        client("ec2").delete_security_group(GroupId=cluster["resourcesVpcConfig"]["clusterSecurityGroupId"])


def test_a_second_one_of_the_same_name_is_rejected(eks, settings, cluster):
    with pytest.raises(eks.exceptions.ResourceInUseException, match="Cluster already exists with name"):
        eks.create_cluster(**settings)


def test_the_lab_allows_one_cluster_per_vpc(eks, settings, cluster):
    with pytest.raises(eks.exceptions.ResourceLimitExceededException, match="one cluster per VPC"):
        eks.create_cluster(**settings | {"name": "second"})


def test_a_program_that_has_ended_is_an_issue_in_the_clusters_health(eks, cluster, fake_clusters):
    dead = fake_clusters[-1].dead
    dead.append("eks-tutorial/etcd was killed by SIGKILL")
    found = eks.describe_cluster(name="tutorial")["cluster"]
    dead.clear()
    assert found["status"] == "ACTIVE"
    (issue,) = found["health"]["issues"]
    assert (issue["code"], issue["message"]) == ("InternalFailure", "eks-tutorial/etcd was killed by SIGKILL")
    assert eks.describe_cluster(name="tutorial")["cluster"]["health"]["issues"] == []


def test_a_cluster_that_does_not_start_is_failed_with_a_reason(eks, settings):
    eks.create_cluster(**settings | {"name": "broken"})
    with pytest.raises(WaiterError):
        eks.get_waiter("cluster_active").wait(name="broken", WaiterConfig=QUICK)
    failed = eks.describe_cluster(name="broken")["cluster"]
    assert failed["status"] == "FAILED"
    assert failed["health"]["issues"][0]["message"] == "etcd did not start"
    delete(eks, "broken")


def test_a_cluster_cannot_be_deleted_while_it_is_created(eks, settings, role, monkeypatch):
    held = Event()
    monkeypatch.setattr(FakeCluster, "start_control_plane", lambda self: held.wait())
    eks.create_cluster(**settings)
    early = {
        "clusterName": "tutorial",
        "nodegroupName": "early",
        "subnets": settings["resourcesVpcConfig"]["subnetIds"],
        "nodeRole": role("ec2.amazonaws.com"),
    }
    try:
        with pytest.raises(eks.exceptions.ResourceInUseException, match="has an update in progress"):
            eks.delete_cluster(name="tutorial")
        with pytest.raises(eks.exceptions.InvalidRequestException, match="is not in ACTIVE status"):
            eks.create_nodegroup(**early)
    finally:
        held.set()
    eks.get_waiter("cluster_active").wait(name="tutorial", WaiterConfig=QUICK)
    delete(eks, "tutorial")


def test_a_new_role_is_not_visible_at_once(client, eks, settings, monkeypatch):
    monkeypatch.setattr(delays, "ROLE", 60)
    iam, name = client("iam"), "fresh"
    statement = {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    fresh = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
    with pytest.raises(eks.exceptions.InvalidParameterException, match="could not be assumed because"):
        eks.create_cluster(**settings | {"roleArn": fresh})
    monkeypatch.setattr(delays, "ROLE", 0)
    eks.create_cluster(**settings | {"roleArn": fresh})
    eks.get_waiter("cluster_active").wait(name="tutorial", WaiterConfig=QUICK)
    delete(eks, "tutorial")
    iam.delete_role(RoleName=name)


def test_a_change_of_a_cluster_is_an_update(eks, cluster):
    cidrs = ["192.0.2.1/32"]
    made = eks.update_cluster_config(name="tutorial", resourcesVpcConfig={"publicAccessCidrs": cidrs})[
        "update"
    ]
    assert (made["type"], made["status"]) == ("EndpointAccessUpdate", "InProgress")
    assert made["params"] == [{"type": "PublicAccessCidrs", "value": json.dumps(cidrs)}]
    eks.get_waiter("cluster_active").wait(name="tutorial", WaiterConfig=QUICK)
    found = eks.describe_update(name="tutorial", updateId=made["id"])["update"]
    assert (found["id"], found["status"], found["errors"]) == (made["id"], "Successful", [])
    config = eks.describe_cluster(name="tutorial")["cluster"]["resourcesVpcConfig"]
    assert config["publicAccessCidrs"] == cidrs
    logging = {"clusterLogging": [{"types": ["api"], "enabled": True}]}
    second = eks.update_cluster_config(name="tutorial", logging=logging)["update"]
    assert second["type"] == "LoggingUpdate"
    assert eks.list_updates(name="tutorial")["updateIds"] == [made["id"], second["id"]]
    eks.get_waiter("cluster_active").wait(name="tutorial", WaiterConfig=QUICK)
    for refused, change in (
        ("already at the desired configuration", {"logging": logging}),
        (
            "Only one type of update",
            {"resourcesVpcConfig": {"endpointPrivateAccess": True}, "logging": logging},
        ),
    ):
        with pytest.raises(eks.exceptions.InvalidParameterException, match=refused):
            eks.update_cluster_config(name="tutorial", **change)
    with pytest.raises(eks.exceptions.ResourceNotFoundException, match="No update found for ID"):
        eks.describe_update(name="tutorial", updateId="none")


def test_access_and_support_settings_are_shown_as_requested(eks, settings):
    access = {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False}
    with pytest.raises(eks.exceptions.InvalidParameterException, match="creator is not their administrator"):
        eks.create_cluster(**settings, accessConfig=access)
    eks.create_cluster(
        **settings, accessConfig={"authenticationMode": "API"}, upgradePolicy={"supportType": "STANDARD"}
    )
    eks.get_waiter("cluster_active").wait(name="tutorial", WaiterConfig=QUICK)
    shown = eks.describe_cluster(name="tutorial")["cluster"]
    assert shown["accessConfig"]["authenticationMode"] == "API"
    assert shown["upgradePolicy"] == {"supportType": "STANDARD"}
    delete(eks, "tutorial")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "1.19"}, "unsupported Kubernetes version"),
        ({"roleArn": "arn:aws:iam::123456789012:role/missing"}, "could not be assumed because"),
        ({"resourcesVpcConfig": {"subnetIds": ["subnet-1"]}}, "The subnet ID 'subnet-1' does not exist"),
        ({"resourcesVpcConfig": {"subnetIds": []}}, "Subnets specified must be in at least two different"),
        ({"name": "../escape"}, "does not match ^"),
    ],
)
def test_eks_rejects_invalid_clusters(eks, settings, change, said):
    with pytest.raises(eks.exceptions.InvalidParameterException) as refused:
        eks.create_cluster(**settings | change)
    assert said in refused.value.response["Error"]["Message"]
    assert eks.list_clusters()["clusters"] == []


def test_eks_rejects_invalid_node_groups(eks, cluster, network, role):
    group = {
        "clusterName": "tutorial",
        "nodegroupName": "nodes",
        "subnets": network.subnet_ids,
        "nodeRole": role("ec2.amazonaws.com"),
    }
    for change, said in (
        ({"nodeRole": role("eks.amazonaws.com")}, "could not be assumed"),
        ({"subnets": ["subnet-1"]}, "does not exist"),
    ):
        with pytest.raises(eks.exceptions.InvalidParameterException, match=said):
            eks.create_nodegroup(**group | change)
    with pytest.raises(eks.exceptions.ResourceNotFoundException):
        eks.create_nodegroup(**group | {"clusterName": "missing"})


def test_the_tagging_api_lists_cluster_and_node_group(client, cluster, node_group):
    tagging = client("resourcegroupstaggingapi")
    answer = tagging.get_resources(TagFilters=[{"Key": "project", "Values": ["tutorial"]}])
    found = {one["ResourceARN"] for one in answer["ResourceTagMappingList"]}
    assert found == {cluster["arn"], node_group["nodegroupArn"]}
    eks = client("eks")
    eks.tag_resource(resourceArn=node_group["nodegroupArn"], tags={"more": "1"})
    assert eks.list_tags_for_resource(resourceArn=node_group["nodegroupArn"])["tags"]["more"] == "1"


def test_the_aws_cli_writes_a_kubeconfig(aws, cluster, tmp_path):
    environment = cli_environment(aws.endpoint_url) | {"HOME": str(tmp_path)}
    command = [sys.executable, Path(sys.executable).with_name("aws"), "eks", "update-kubeconfig"]
    file = tmp_path / "kubeconfig"
    answer = subprocess.run(
        [*command, "--name", "tutorial", "--alias", "eks", "--kubeconfig", file],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    config = yaml.safe_load(file.read_text())
    assert config["current-context"] == "eks"
    assert config["clusters"][0]["cluster"]["server"] == cluster["endpoint"]
    assert "get-token" in json.dumps(config["users"][0]["user"]["exec"])


def test_a_deleted_cluster_leaves_nothing_in_its_vpc(client, eks, settings, network):
    eks.create_cluster(**settings)
    eks.get_waiter("cluster_active").wait(name="tutorial", WaiterConfig=QUICK)
    delete(eks, "tutorial")
    ec2, here = client("ec2"), [{"Name": "vpc-id", "Values": [network.vpc_id]}]
    assert ec2.describe_network_interfaces(Filters=here)["NetworkInterfaces"] == []
    groups = ec2.describe_security_groups(Filters=here)["SecurityGroups"]
    assert [group["GroupName"] for group in groups] == ["default"]
