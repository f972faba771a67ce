"""Waits for the node behind a Classic Load Balancer; plain moto reports every running instance as healthy."""

import pytest

from helpers import aws, classic_load_balancer
from helpers.base.errors import TimedOutError, TutorialError
from helpers.base.settings import current


@pytest.fixture
def host_name(moto) -> str:
    """The host name of a load balancer without instances."""
    listener = {"Protocol": "TCP", "LoadBalancerPort": 443, "InstancePort": 30443}
    made = aws.call(
        "elb",
        "create_load_balancer",
        LoadBalancerName=current().TUTORIAL_NAME,
        Listeners=[listener],
        AvailabilityZones=["us-east-1a"],
    )
    return made["DNSName"]


def register() -> str:
    """Registers a running instance and returns its id."""
    [instance] = aws.call("ec2", "run_instances", ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"]
    registered = [{"InstanceId": instance["InstanceId"]}]
    aws.call(
        "elb",
        "register_instances_with_load_balancer",
        LoadBalancerName=current().TUTORIAL_NAME,
        Instances=registered,
    )
    return instance["InstanceId"]


def test_one_instance_in_service_is_enough(host_name, capsys):
    aws.call("ec2", "stop_instances", InstanceIds=[register()])
    register()
    classic_load_balancer.wait_in_service(host_name.upper())  # DNS names are not case-sensitive
    shown = capsys.readouterr().out
    assert f"aws elb wait any-instance-in-service --load-balancer-name {current().TUTORIAL_NAME}\n" in shown
    assert f"\n# → {current().TUTORIAL_NAME}\n" in shown


def test_the_reason_is_reported_if_no_instance_is_in_service(host_name):
    aws.call("ec2", "stop_instances", InstanceIds=[register()])
    with pytest.raises(TimedOutError, match=r"a node behind the load balancer .*: still “OutOfService: "):
        classic_load_balancer.wait_in_service(host_name, timeout=0)


def test_a_missing_node_is_reported(host_name):
    with pytest.raises(TimedOutError, match=r"still “no node is registered”(.|\n)*notebook 04"):
        classic_load_balancer.wait_in_service(host_name, timeout=0)


def test_a_host_name_of_another_load_balancer_type_is_rejected(host_name):
    network = "k8s-istio-0123456789.elb.us-east-1.amazonaws.com"
    with pytest.raises(TutorialError, match=f"none has the host name {network}"):
        classic_load_balancer.wait_in_service(network)
