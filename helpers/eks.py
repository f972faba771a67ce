"""The EKS cluster in the VPC of the function, with one node group in the private subnets."""

from collections.abc import Callable
from typing import Any

from helpers import aws, network
from helpers.aws import cloudwatch_logs, iam
from helpers.base import contents, my_address
from helpers.base.errors import PrerequisiteError, TutorialError
from helpers.base.settings import current
from helpers.base.waiting import resume_after_lost_answer, wait_until
from helpers.clusters import kubeconfig
from helpers.clusters.model import Cluster

CONTEXT = "eks"
VERSION = "1.35"
NODE_GROUP = "workers"
INSTANCE_TYPE = "t3.large"
# Its images demand IMDSv2 and keep pods, one hop away, from the node's role:
# https://docs.aws.amazon.com/eks/latest/userguide/al2023.html
AMI_TYPE = "AL2023_x86_64_STANDARD"
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_CLUSTER_LIMIT = 1800  # seconds; AWS takes about ten minutes
_NODES_LIMIT = 1200  # two to three minutes


def status() -> str:
    """The state that EKS gives: CREATING, ACTIVE, DELETING, FAILED; "" where there is no cluster."""
    found = describe()
    return found["status"] if found else ""


def find() -> Cluster:
    """Look the cluster up by its name; raises PrerequisiteError."""
    found = describe()
    if found is None:
        raise PrerequisiteError(f"no EKS cluster {current().TUTORIAL_NAME}", contents.notebook("eks"))
    return Cluster(CONTEXT, found["name"], found["status"], found.get("endpoint", ""), found["version"])


@resume_after_lost_answer
def create() -> None:
    """Start making the cluster and come back at once: on AWS it takes ten minutes."""
    name, place = current().TUTORIAL_NAME, network.find()
    role = iam.ensure("eks-cluster", "eks", "AmazonEKSClusterPolicy")
    if status() == "DELETING":
        what = f"the old EKS cluster {name} to go"
        wait_until(what, status, lambda now: now == "", timeout=_CLUSTER_LIMIT)
    there = status()
    if there:
        print(f"EKS cluster {name} exists: {there}")
        return
    cloudwatch_logs.ensure(log_group_name())
    wanted = {
        "name": name,
        "version": VERSION,
        "roleArn": role,
        "resourcesVpcConfig": {"subnetIds": place.private + place.public, **_endpoint()},
        "logging": {"clusterLogging": [{"types": list(LOGS), "enabled": True}]},
        # Who creates it administers it, by an access entry and not by the old aws-auth ConfigMap.
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True},
        # Moved to a newer Kubernetes rather than billed sixfold once support ends.
        "upgradePolicy": {"supportType": "STANDARD"},
        "tags": aws.project_tags(),
    }
    made = iam.retry_until_propagated(role, lambda: aws.call("eks", "create_cluster", **wanted)["cluster"])
    aws.said(f"eks create-cluster --name {name}", made["status"])


def log_group_name() -> str:
    """Where the control plane writes its logs; EKS would make it without a tag, and keep them for ever."""
    return f"/aws/eks/{current().TUTORIAL_NAME}/cluster"


def _endpoint() -> dict[str, Any]:
    """The API server: nodes reach it inside the VPC, from outside nobody but the reader does."""
    public = {"endpointPublicAccess": True, "publicAccessCidrs": [my_address.cidr()]}
    return {**public, "endpointPrivateAccess": True}


def _ensure_endpoint() -> None:
    """Let the reader in from where they are today, e.g. another network than yesterday's."""
    name, wanted = current().TUTORIAL_NAME, _endpoint()

    def there() -> bool:
        found = describe() or {"resourcesVpcConfig": {}}
        return found["status"] == "ACTIVE" and found["resourcesVpcConfig"].items() >= wanted.items()

    if there():
        return
    aws.call("eks", "update_cluster_config", name=name, resourcesVpcConfig=wanted)
    waiting = f"EKS to let {wanted['publicAccessCidrs'][0]} in"
    wait_until(waiting, there, bool, timeout=_CLUSTER_LIMIT, state=lambda _: "updating")
    aws.said(f"eks update-cluster-config --name {name}: publicAccessCidrs", wanted["publicAccessCidrs"][0])


@resume_after_lost_answer
def ensure() -> Cluster:
    """The cluster, active, with its nodes and the context `eks` in the kubeconfig."""
    create()
    name = current().TUTORIAL_NAME
    found = _settled(f"EKS cluster {name}", describe, _CLUSTER_LIMIT)
    aws.said(f"eks describe-cluster --name {name}", f"{found['status']}, Kubernetes {found['version']}")
    _ensure_endpoint()
    _ensure_nodes()
    connect()
    return find()


def connect() -> None:
    """Write the context `eks` into the kubeconfig, as `aws eks update-kubeconfig` does."""
    found = describe() or {}
    kubeconfig.write(CONTEXT, found["endpoint"], found["certificateAuthority"]["data"], _plugin())


def _ensure_nodes() -> None:
    name, there = current().TUTORIAL_NAME, _describe_nodes()
    if there:
        print(f"Node group {NODE_GROUP} exists: {there['status']}")
    else:
        policies = (
            "AmazonEKSWorkerNodePolicy",
            "AmazonEKS_CNI_Policy",
            "AmazonEC2ContainerRegistryPullOnly",
        )
        role = iam.ensure("eks-nodes", "ec2", *policies)
        wanted = {
            "clusterName": name,
            "nodegroupName": NODE_GROUP,
            "subnets": network.find().private,
            "nodeRole": role,
            "amiType": AMI_TYPE,
            "instanceTypes": [INSTANCE_TYPE],
            "scalingConfig": {"minSize": 1, "maxSize": 1, "desiredSize": 1},
            "tags": aws.project_tags(),
        }
        iam.retry_until_propagated(role, lambda: aws.call("eks", "create_nodegroup", **wanted))
        aws.said(f"eks create-nodegroup --cluster-name {name} --nodegroup-name {NODE_GROUP}", "CREATING")
    found = _settled(f"node group {NODE_GROUP}", _describe_nodes, _NODES_LIMIT)
    if not there or there["status"] != "ACTIVE":
        aws.said(f"eks describe-nodegroup --nodegroup-name {NODE_GROUP}", found["status"])


def _settled(what: str, describe: Callable[[], dict[str, Any] | None], timeout: float) -> dict[str, Any]:
    """Wait until it is made; raises TutorialError with the reasons that EKS gives where that failed."""
    found = wait_until(
        what,
        lambda: describe() or {"status": "not there yet"},
        lambda now: now["status"] not in ("CREATING", "UPDATING", "not there yet"),
        timeout=timeout,
        state=lambda now: now["status"],
    )
    if found["status"] != "ACTIVE":
        issues = found.get("health", {}).get("issues", [])
        reasons = "; ".join(f"{issue['code']}: {issue['message']}" for issue in issues)
        answer = f"its status is {found['status']}" + (f" ({reasons})" if reasons else "")
        raise TutorialError(f"Making the {what}", answer, "run 99-clean-up, then start again.")
    return found


def _plugin() -> dict[str, Any]:
    # What `aws eks update-kubeconfig` writes.
    settings = current()
    words = ["--region", settings.AWS_REGION, "eks", "get-token"]
    plugin: dict[str, Any] = {
        "command": "aws",
        "args": [*words, "--cluster-name", settings.TUTORIAL_NAME, "--output", "json"],
        "installHint": "pip install awscli",
    }
    if settings.AWS_ENDPOINT_URL:
        plugin["env"] = [{"name": "AWS_ENDPOINT_URL", "value": settings.AWS_ENDPOINT_URL}]
    return plugin


def describe() -> dict[str, Any] | None:
    """The cluster as EKS describes it, or None."""
    missing = "ResourceNotFoundException"
    name = current().TUTORIAL_NAME
    found = aws.found(missing, service="eks", operation="describe_cluster", name=name)
    return found["cluster"] if found else None


def _describe_nodes() -> dict[str, Any] | None:
    found = aws.found(
        "ResourceNotFoundException",
        service="eks",
        operation="describe_nodegroup",
        clusterName=current().TUTORIAL_NAME,
        nodegroupName=NODE_GROUP,
    )
    return found["nodegroup"] if found else None
