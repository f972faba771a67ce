"""What exists now, in both clouds and both clusters: asked for, never changed. `state.now()` shows it."""

from concurrent.futures import ThreadPoolExecutor

from helpers import eks, function, gke, load_balancer
from helpers.aws import ec2
from helpers.base.settings import current
from helpers.clusters import kubeconfig
from helpers.clusters.model import Cluster
from helpers.gcp import cloud_nat
from helpers.pictures import cluster_things, svg, things_picture
from helpers.pictures.things import How, Part, Parts

_NOT_CONNECTED = "not connected yet"
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html
_TARGET: dict[str, How] = {"healthy": "there", "unavailable": "there", "unhealthy": "broken"}
# https://docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html
# https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters#status
_CLUSTER: dict[str, How] = {
    "ACTIVE": "there",
    "UPDATING": "there",
    "FAILED": "broken",
    "RUNNING": "there",
    "RECONCILING": "there",
    "ERROR": "broken",
    "DEGRADED": "broken",
}


def now() -> svg.Picture:
    """A picture of what exists, what is being made, what is broken and what is not there yet."""
    return things_picture.draw(gather())


def gather() -> Parts:
    """How each thing of the series is now. What does not exist is no error; a cloud without an answer is."""
    asked = (_network, _front, _function, _eks, _gke, _cloud_nat)
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = [pool.submit(one) for one in asked]
    return Parts({key: part for answer in answers for key, part in answer.result().items()})


def _network() -> dict[str, Part]:
    found = {}
    for vpc in ec2.tagged("VPC"):
        found["vpc"] = Part("there", vpc["State"], (vpc["VpcId"], vpc["CidrBlock"]))
    if subnets := ec2.tagged("subnet"):
        names = [tag["Value"] for subnet in subnets for tag in subnet["Tags"] if tag["Key"] == "Name"]
        kinds = [f"{sum(f'-{kind}-' in name for name in names)} {kind}" for kind in ("private", "public")]
        found["subnets"] = Part("there", "available", tuple(kinds))
    for gateway in ec2.tagged("NAT gateway"):
        hows: dict[str, How] = {"available": "there", "pending": "making"}
        state = ": ".join(filter(None, (gateway["State"], gateway.get("FailureMessage", ""))))
        found["nat"] = Part(hows.get(gateway["State"], "broken"), state, (gateway["NatGatewayId"],))
    return found


def _front() -> dict[str, Part]:
    found: dict[str, Part] = {}
    if balancer := load_balancer.balancer():
        arn, state = balancer["LoadBalancerArn"], balancer["State"]
        hows: dict[str, How] = {"active": "there", "provisioning": "making"}
        said = ": ".join(filter(None, (state["Code"], state.get("Reason", ""))))
        addresses = tuple(load_balancer.addresses(arn))
        found["alb"] = Part(hows.get(state["Code"], "broken"), said, addresses)
        listeners = sorted(load_balancer.listeners_of(arn), key=lambda one: one["Port"])
        if listeners:
            values = tuple(f"{one['Protocol']} {one['Port']}" for one in listeners)
            found["listeners"] = Part("there", "open", values)
    if group := load_balancer.target_group():
        state, reason = load_balancer.target_health(group["TargetGroupArn"])
        how = _TARGET.get(state, "making")
        said = ": ".join(filter(None, (state, reason))) if how == "broken" else state
        found["target"] = Part(how, said, ("the function",))
    return found


def _function() -> dict[str, Part]:
    found = function.find()
    if not found:
        return {}
    hows: dict[str, How] = {"Failed": "broken", "Pending": "making"}
    return {"function": Part(hows.get(found.state, "there"), found.state, (function.RUNTIME,))}


def _eks() -> dict[str, Part]:
    return _cluster(eks.find())


def _gke() -> dict[str, Part]:
    return _cluster(gke.find() if current().GOOGLE_CLOUD_PROJECT else None)


def _cloud_nat() -> dict[str, Part]:
    found = cloud_nat.serving() if current().GOOGLE_CLOUD_PROJECT else None
    return {"cloud-nat": Part("there", "running", (f"router {found['name']}",))} if found else {}


def _cluster(cluster: Cluster | None) -> dict[str, Part]:
    """The cluster and, where the kubeconfig leads to this one and no other, what is in it."""
    if cluster is None:
        return {}
    how = _CLUSTER.get(cluster.status, "making")
    broken = how == "broken" and cluster.reason
    inside: dict[str, Part] = {}
    if how == "there" and cluster.url and kubeconfig.server(cluster.context) == cluster.url:
        inside = cluster_things.parts(cluster.context)
    more = inside.pop("nodes", Part(state=_NOT_CONNECTED)).state
    values = tuple(filter(None, (f"Kubernetes {cluster.version}" if cluster.version else "", more)))
    state = f"{cluster.status}: {cluster.reason}" if broken else cluster.status
    return {cluster.context: Part(how, state, values), **inside}
