"""The node group of the EKS cluster: machines in the VPC's private subnets."""

from collections.abc import Callable
from typing import Any

from helpers import aws
from helpers.aws import deletion, iam
from helpers.base.errors import TutorialError
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.waiting import wait_until

NAME = "workers"
INSTANCE_TYPE = "t3.large"
# Its images require IMDSv2 with a hop limit of 1, so that pods cannot use the node's role:
# https://docs.aws.amazon.com/eks/latest/userguide/al2023.html
_AMI_TYPE = "AL2023_x86_64_STANDARD"
_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
_LIMIT = 1200  # seconds; AWS takes two to three minutes


def find(name: str = NAME) -> dict[str, Any] | None:
    """The node group as EKS describes it, or None."""
    words = {"clusterName": current().TUTORIAL_NAME, "nodegroupName": name}
    found = aws.found("ResourceNotFoundException", service="eks", operation="describe_nodegroup", **words)
    return found["nodegroup"] if found else None


def ensure(subnets: list[str]) -> None:
    """Create it in these subnets if it is missing, and wait until it is active."""
    name, there = current().TUTORIAL_NAME, find()
    if there:
        print(f"Node group {NAME} exists: {there['status']}")
    else:
        role = iam.ensure("eks-nodes", "ec2", *_POLICIES)
        wanted: dict[str, Any] = {
            "clusterName": name,
            "nodegroupName": NAME,
            "subnets": subnets,
            "nodeRole": role,
            "amiType": _AMI_TYPE,
            "instanceTypes": [INSTANCE_TYPE],
            "scalingConfig": {"minSize": 1, "maxSize": 1, "desiredSize": 1},
            "tags": aws.project_tags(),
        }
        iam.retry_until_propagated(role, lambda: aws.change("eks", "create_nodegroup", **wanted))
    wait_until_made(f"node group {NAME}", find, _LIMIT)
    if not there or there["status"] != "ACTIVE":
        aws.waited("eks", "nodegroup_active", clusterName=name, nodegroupName=NAME)


def delete() -> None:
    """Start deleting the cluster's node groups; `eks.delete` waits for that."""
    for name in names():
        if (find(name) or {"status": "DELETING"})["status"] != "DELETING":
            words = {"clusterName": current().TUTORIAL_NAME, "nodegroupName": name}
            deletion.delete("eks", "delete_nodegroup", **words)


def wait_deleted(timeout: float) -> None:
    """Wait until the cluster has no node group; raises TimedOutError."""
    leaving = names() or [NAME]  # which may be gone already; someone who pastes the commands has to wait
    wait_until("the node groups to be deleted", names, lambda left: not left, timeout=timeout)
    for name in leaving:
        words = {"clusterName": current().TUTORIAL_NAME, "nodegroupName": name}
        aws.waited("eks", "nodegroup_deleted", **words)


def leftovers() -> list[Resource]:
    """The cluster's node groups."""
    return [Resource("AWS", "EKS node group", name) for name in names()]


def names() -> list[str]:
    """Names of the cluster's node groups, including those that the tutorial did not create."""
    missing, cluster = "ResourceNotFoundException", current().TUTORIAL_NAME
    if not aws.found(missing, service="eks", operation="describe_cluster", name=cluster):
        return []
    found = aws.found(missing, service="eks", operation="list_nodegroups", clusterName=cluster)
    return found["nodegroups"] if found else []  # none if the cluster was deleted between the two calls


def wait_until_made(what: str, find: Callable[[], dict[str, Any] | None], timeout: float) -> dict[str, Any]:
    """The node group, once it is active; raises TimedOutError, and TutorialError with EKS's reasons."""
    found = wait_until(
        what,
        lambda: find() or {"status": "not there yet"},
        lambda now: now["status"] not in ("CREATING", "UPDATING", "not there yet"),
        timeout=timeout,
        state=lambda now: now["status"],
    )
    if found["status"] != "ACTIVE":
        issues = found.get("health", {}).get("issues", [])
        reasons = "; ".join(f"{issue['code']}: {issue['message']}" for issue in issues)
        answer = f"its status is {found['status']}" + (f" ({reasons})" if reasons else "")
        raise TutorialError(f"Creating the {what}", answer, "run 99-clean-up, then start again.")
    return found
