"""The EKS cluster in the VPC of the function, with one node group in the private subnets."""

from typing import Any

from helpers import aws, classic_load_balancer, network
from helpers.aws import cloudwatch_logs, deletion, ec2, iam, node_group
from helpers.base import command, contents, folding, my_address
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.waiting import resume_after_lost_answer, wait_until
from helpers.clusters import kubeconfig
from helpers.clusters.model import Cluster

CONTEXT = "eks"
READY = ("ACTIVE", "UPDATING")  # states in which the API server answers
VERSION = "1.35"
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_ROLES = ("eks-cluster", "eks-nodes")
_LIMIT = 1800  # seconds; AWS takes about ten minutes, and up to fifteen to delete it


def status() -> str:
    """The state that EKS gives: CREATING, ACTIVE, DELETING, FAILED; "" if there is no cluster."""
    found = describe()
    return found["status"] if found else ""


def get() -> Cluster:
    """The cluster; raises PrerequisiteError if there is none."""
    return contents.require(find(), "eks", f"no EKS cluster {current().TUTORIAL_NAME}")


def find() -> Cluster | None:
    """The cluster, found by its name, or None."""
    found = describe()
    if found is None:
        return None
    return Cluster(
        context=CONTEXT,
        name=found["name"],
        status=found["status"],
        reason="; ".join(issue["message"] for issue in found.get("health", {}).get("issues", [])),
        version=found["version"],
        url=found.get("endpoint", ""),
        ca=found.get("certificateAuthority", {}).get("data", ""),
    )


@folding.step()
@resume_after_lost_answer
def create() -> None:
    """Start creating the cluster and return immediately: on AWS it takes ten minutes."""
    name, place = current().TUTORIAL_NAME, network.get()
    role = iam.ensure("eks-cluster", "eks", "AmazonEKSClusterPolicy")
    if status() == "DELETING":
        what = f"the old EKS cluster {name} to be deleted"
        wait_until(what, status, lambda now: now == "", timeout=_LIMIT)
    there = status()
    if there:
        print(f"EKS cluster {name} exists: {there}")
        return
    cloudwatch_logs.ensure(log_group())
    wanted: dict[str, Any] = {
        "name": name,
        "version": VERSION,
        "roleArn": role,
        "resourcesVpcConfig": {"subnetIds": place.private + place.public, **_endpoint()},
        "logging": {"clusterLogging": [{"types": list(LOGS), "enabled": True}]},
        # Its creator administers it, through an access entry instead of the older aws-auth ConfigMap.
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True},
        # Upgraded automatically when standard support ends, rather than billed sixfold.
        "upgradePolicy": {"supportType": "STANDARD"},
        "tags": aws.project_tags(),
    }
    iam.retry_until_propagated(
        role, lambda: aws.change("eks", "create_cluster", show="cluster.status", **wanted)
    )


def log_group() -> str:
    """The control plane's log group; EKS would create it without tags and without an expiry."""
    return f"/aws/eks/{current().TUTORIAL_NAME}/cluster"


def _endpoint() -> dict[str, Any]:
    """API server access: nodes inside the VPC, and from outside only the reader."""
    public = {"endpointPublicAccess": True, "publicAccessCidrs": [my_address.cidr()]}
    return {**public, "endpointPrivateAccess": True}


def _ensure_endpoint() -> None:
    """Allow the reader's current address, which may differ from yesterday's."""
    name, wanted = current().TUTORIAL_NAME, _endpoint()

    def there() -> bool:
        found = describe() or {"resourcesVpcConfig": {}}
        return found["status"] == "ACTIVE" and found["resourcesVpcConfig"].items() >= wanted.items()

    if there():
        return
    aws.change("eks", "update_cluster_config", name=name, resourcesVpcConfig=wanted)
    waiting = f"EKS to allow {wanted['publicAccessCidrs'][0]}"
    wait_until(waiting, there, bool, timeout=_LIMIT, state=lambda _: "updating")
    aws.waited("eks", "cluster_active", name=name)


@folding.step()
@resume_after_lost_answer
def ensure() -> Cluster:
    """The cluster, active, with its nodes and the context `eks` in the kubeconfig."""
    create()
    name = current().TUTORIAL_NAME
    fresh = status() != "ACTIVE" or not node_group.find()
    node_group.wait_until_made(f"EKS cluster {name}", describe, _LIMIT)
    if fresh:
        aws.waited("eks", "cluster_active", name=name)
    _ensure_endpoint()
    node_group.ensure(network.get().private)
    connect()
    return get()


def delete() -> None:
    """Delete the cluster, wait until it is gone, and delete what it left, if it exists."""
    node_group.delete()
    if status():
        node_group.wait_deleted(_LIMIT)
    busy = ("CREATING", "UPDATING")  # EKS refuses to delete a cluster that it is still creating
    wait_until("the EKS cluster to be deletable", status, lambda now: now not in busy, timeout=_LIMIT)
    if status() not in ("", "DELETING"):
        deletion.delete("eks", "delete_cluster", name=current().TUTORIAL_NAME)
    if status():
        wait_until("the EKS cluster to be deleted", status, lambda now: now == "", timeout=_LIMIT)
        aws.waited("eks", "cluster_deleted", name=current().TUTORIAL_NAME)
    kubeconfig.remove(CONTEXT)
    for name in classic_load_balancer.names(cluster_tag()):
        deletion.delete("elb", "delete_load_balancer", LoadBalancerName=name)
    for disk in _disks():
        ec2.delete("disk", disk)
    # Only now, because the cluster would write into it again.
    cloudwatch_logs.delete(log_group())
    for purpose in _ROLES:
        iam.delete(purpose)


def leftovers() -> list[Resource]:
    """The cluster, what its controllers created for Services and volumes, its log group and its roles."""
    found = [("EKS cluster", current().TUTORIAL_NAME)] if status() else []
    found += [("classic load balancer", name) for name in classic_load_balancer.names(cluster_tag())]
    found += [("disk", disk) for disk in _disks()]
    resources = [Resource("AWS", *each) for each in found]
    return resources + cloudwatch_logs.leftovers(log_group()) + iam.leftovers(*_ROLES)


def _disks() -> list[str]:
    return [disk["VolumeId"] for disk in ec2.found("disk", **{"tag-key": cluster_tag()})]


def cluster_tag() -> str:
    """The tag that Kubernetes' AWS controllers add to what they create."""
    return f"kubernetes.io/cluster/{current().TUTORIAL_NAME}"


def connect() -> None:
    """Write the context `eks` into the kubeconfig, as `aws eks update-kubeconfig` would."""
    cluster = get()
    words = ["aws", "eks", "update-kubeconfig", "--name", cluster.name, "--alias", CONTEXT]
    by_hand = command.shell_join([*words, "--kubeconfig", current().KUBECONFIG])
    kubeconfig.write(CONTEXT, cluster.url, cluster.ca, by_hand)


def describe() -> dict[str, Any] | None:
    """The cluster as EKS describes it, or None."""
    missing = "ResourceNotFoundException"
    name = current().TUTORIAL_NAME
    found = aws.found(missing, service="eks", operation="describe_cluster", name=name)
    return found["cluster"] if found else None
