"""What exists now, in both clouds and both clusters: read-only. `state.now()` shows it."""

from concurrent.futures import ThreadPoolExecutor

from helpers import eks, function, gke, load_balancer
from helpers.aws import ec2
from helpers.base.settings import current
from helpers.clusters import kubeconfig
from helpers.clusters.model import Cluster
from helpers.gcp import cloud_nat
from helpers.pictures import cluster_things, svg, things_picture
from helpers.pictures.things import Part, Parts, Phase

_NOT_CONNECTED = "not connected yet"
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
_TARGET: dict[str, Phase] = {"healthy": "ready", "unavailable": "ready", "unhealthy": "failed"}
# https://docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html
# https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters#status
_CLUSTER: dict[str, Phase] = {
    "ACTIVE": "ready",
    "UPDATING": "ready",
    "FAILED": "failed",
    "RUNNING": "ready",
    "RECONCILING": "ready",
    "ERROR": "failed",
    "DEGRADED": "failed",
}


def now(notebook: str = "") -> svg.Picture:
    """A picture of what exists, what is being created, what failed and what does not exist yet.

    What the notebook of that number creates is highlighted.
    """
    return things_picture.draw(gather(), notebook)


def gather() -> Parts:
    """The phase of each thing. A missing resource is not an error; a cloud that does not answer is."""
    asked = (_network, _front, _function, _eks, _gke, _cloud_nat)
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = [pool.submit(one) for one in asked]
    return Parts({key: part for answer in answers for key, part in answer.result().items()})


def _network() -> dict[str, Part]:
    found = {}
    for vpc in ec2.tagged("VPC"):
        found["vpc"] = Part("ready", vpc["State"], (vpc["VpcId"], vpc["CidrBlock"]))
    if subnets := ec2.tagged("subnet"):
        names = [tag["Value"] for subnet in subnets for tag in subnet["Tags"] if tag["Key"] == "Name"]
        kinds = [f"{sum(f'-{kind}-' in name for name in names)} {kind}" for kind in ("private", "public")]
        found["subnets"] = Part("ready", "available", tuple(kinds))
    for gateway in ec2.tagged("NAT gateway"):
        phases: dict[str, Phase] = {"available": "ready", "pending": "creating"}
        state = ": ".join(filter(None, (gateway["State"], gateway.get("FailureMessage", ""))))
        found["nat"] = Part(phases.get(gateway["State"], "failed"), state, (gateway["NatGatewayId"],))
    return found


def _front() -> dict[str, Part]:
    found: dict[str, Part] = {}
    if balancer := load_balancer.balancer():
        arn, state = balancer["LoadBalancerArn"], balancer["State"]
        phases: dict[str, Phase] = {"active": "ready", "provisioning": "creating"}
        said = ": ".join(filter(None, (state["Code"], state.get("Reason", ""))))
        addresses = tuple(load_balancer.addresses(arn))
        found["alb"] = Part(phases.get(state["Code"], "failed"), said, addresses)
        listeners = sorted(load_balancer.listeners_of(arn), key=lambda one: one["Port"])
        if listeners:
            values = tuple(f"{one['Protocol']} {one['Port']}" for one in listeners)
            found["listeners"] = Part("ready", "open", values)
    if group := load_balancer.target_group():
        state, reason = load_balancer.target_health(group["TargetGroupArn"])
        phase = _TARGET.get(state, "creating")
        said = ": ".join(filter(None, (state, reason))) if phase == "failed" else state
        found["target"] = Part(phase, said, ("the function",))
    return found


def _function() -> dict[str, Part]:
    found = function.find()
    if not found:
        return {}
    phases: dict[str, Phase] = {"Failed": "failed", "Pending": "creating"}
    return {"function": Part(phases.get(found.state, "ready"), found.state, (function.RUNTIME,))}


def _eks() -> dict[str, Part]:
    return _cluster(eks.find())


def _gke() -> dict[str, Part]:
    return _cluster(gke.find() if current().GOOGLE_CLOUD_PROJECT else None)


def _cloud_nat() -> dict[str, Part]:
    found = cloud_nat.serving() if current().GOOGLE_CLOUD_PROJECT else None
    return {"cloud-nat": Part("ready", "running", (f"router {found['name']}",))} if found else {}


def _cluster(cluster: Cluster | None) -> dict[str, Part]:
    """The cluster and, if the kubeconfig points to this one, what is in it."""
    if cluster is None:
        return {}
    phase = _CLUSTER.get(cluster.status, "creating")
    broken = phase == "failed" and cluster.reason
    inside: dict[str, Part] = {}
    if phase == "ready" and cluster.url and kubeconfig.server(cluster.context) == cluster.url:
        inside = cluster_things.parts(cluster.context)
    more = inside.pop("nodes", Part(state=_NOT_CONNECTED)).state
    values = tuple(filter(None, (f"Kubernetes {cluster.version}" if cluster.version else "", more)))
    state = f"{cluster.status}: {cluster.reason}" if broken else cluster.status
    return {cluster.context: Part(phase, state, values), **inside}
