"""Classic Load Balancers: what the EKS cluster creates for its Services of type LoadBalancer.

https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/introduction.html
"""

from typing import Any

from helpers import aws
from helpers.base.errors import TutorialError
from helpers.base.waiting import wait_until

_LIMIT = 300  # seconds; AWS checks every ten, needs two passes, and takes a minute to register a node


def wait_in_service(host_name: str, timeout: float = _LIMIT) -> None:
    """Wait until a node behind the load balancer passes health checks; until then, connections are closed.

    Raises TimedOutError, with AWS's reason, and TutorialError for an unknown host name.
    """
    found = _named(host_name)
    name = found["LoadBalancerName"]
    ours = f"LoadBalancerDescriptions[?DNSName=='{found['DNSName']}'].LoadBalancerName"
    aws.shown("elb", "describe_load_balancers", show=ours)
    words = f"elb describe-instance-health --load-balancer-name {name}"
    wait_until(
        f"a node behind the load balancer {name}",
        lambda: _health(name),
        lambda health: health == "InService",
        timeout=timeout,
        hint=f"does anything listen? A Gateway object makes Envoy listen (notebook 04). aws {words}",
    )
    aws.waited("elb", "any_instance_in_service", LoadBalancerName=name)


def names(tag: str) -> list[str]:
    """The load balancers with that tag key, e.g. kubernetes.io/cluster/<name>."""
    every = [balancer["LoadBalancerName"] for balancer in _listed()]
    found = []
    for start in range(0, len(every), 20):  # the call accepts 20 names
        answer = aws.call("elb", "describe_tags", LoadBalancerNames=every[start : start + 20])
        found += [
            balancer["LoadBalancerName"]
            for balancer in answer["TagDescriptions"]
            if any(each["Key"] == tag for each in balancer["Tags"])
        ]
    return found


def _health(name: str) -> str:
    """InService once one node is in service, otherwise the reasons why none is."""
    states = aws.call("elb", "describe_instance_health", LoadBalancerName=name)["InstanceStates"]
    if any(each["State"] == "InService" for each in states):
        return "InService"
    return "; ".join(f"{each['State']}: {each['Description']}" for each in states) or "no node is registered"


def _named(host_name: str) -> dict[str, Any]:
    for balancer in _listed():
        if balancer["DNSName"].lower() == host_name.lower():
            return balancer
    raise TutorialError(
        "Looking for a Classic Load Balancer",
        f"none has the host name {host_name}",
        "another controller creates another type of load balancer: "
        "is the AWS Load Balancer Controller installed?",
    )


def _listed() -> list[dict[str, Any]]:
    return aws.list_all("elb", "describe_load_balancers", "LoadBalancerDescriptions")
