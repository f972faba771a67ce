"""What the series creates and which notebook creates it: for messages, pictures and the clean-up."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from helpers.base.errors import PrerequisiteError, SettingsError

T = TypeVar("T")

_ARTICLE = (
    "00-introduction",
    "01-create-the-lambda-function",
    "02-deploy-istio-in-eks",
    "03-deploy-istio-in-gke",
    "04-expose-the-aws-endpoint-with-mtls",
    "05-connect-both-clusters",
    "06-test-from-a-pod-in-gke",
)
# Each of these can be run alone after 06, and its last cell undoes what it did.
_BEYOND = (
    "07-who-may-call",
    "08-one-root-of-trust",
    "09-on-the-wire",
    "10-certificates-age",
    "11-when-things-break",
    "12-how-fast",
    "13-gateway-api",
)
NOTEBOOKS = {name[:2]: name for name in (*_ARTICLE, *_BEYOND, "99-clean-up")}
ARTICLE = [number for number in NOTEBOOKS if number <= "06"]
BEYOND = [number for number in NOTEBOOKS if "06" < number < "99"]


class Thing(NamedTuple):
    """A resource's name, and the number of the notebook that creates it.

    `ready` is the number of the notebook that completes what another one only starts. If `drawn` is False,
    the picture of what exists now leaves it out.
    """

    name: str
    notebook: str
    ready: str = ""
    drawn: bool = True


class Objects(NamedTuple):
    """The Istio objects and Secrets of one cluster."""

    namespace: str
    notebook: str
    names: tuple[tuple[str, str], ...]  # kind, name


OBJECTS = {
    "eks": Objects(
        "istio-ingress",
        "04",
        (
            ("Secret", "mtls-credential"),
            ("Secret", "alb-ca"),
            ("ServiceEntry", "se-alb-ext"),
            ("DestinationRule", "dr-alb-ext"),
            ("Gateway", "eastwestgateway"),
            ("VirtualService", "vs-lambda"),
        ),
    ),
    "gke": Objects(
        "istio-egress",
        "05",
        (
            ("Secret", "mtls-credential"),
            ("ServiceEntry", "se-lambda-ext"),
            ("DestinationRule", "dr-lambda-ext"),
            ("Gateway", "istio-egressgateway"),
            ("DestinationRule", "egressgateway-for-lambda"),
            ("VirtualService", "direct-lambda-through-egress-gateway"),
        ),
    ),
}


def chosen(name: str, number: str, among: Sequence[str] = ARTICLE) -> str:
    """The same number if it is one of these; raises SettingsError otherwise, with the choice's name."""
    if number not in among:
        answer = f"{name}={number} is not the number of a notebook: {', '.join(among)}"
        raise SettingsError("Choosing notebooks", answer, f"{name}=04")
    return number


def object_keys(cluster: str) -> list[str]:
    """Keys of a cluster's objects, in the order in which its notebook creates them."""
    return [f"{cluster}/{kind}/{name}" for kind, name in OBJECTS[cluster].names]


def _objects(cluster: str) -> dict[str, Thing]:
    return {
        f"{cluster}/{kind}/{name}": Thing(f"{cluster.upper()}: {kind} {name}", OBJECTS[cluster].notebook)
        for kind, name in OBJECTS[cluster].names
    }


THINGS = {
    "vpc": Thing("VPC", "00"),
    "subnets": Thing("subnets", "00"),
    "nat": Thing("NAT gateway", "00"),
    "function": Thing("Lambda function", "01"),
    "certificate": Thing("certificate", "01", drawn=False),
    "alb": Thing("internal ALB", "01"),
    "listeners": Thing("listeners", "01"),
    "target": Thing("target group", "01"),
    "record": Thing("DNS record", "01", drawn=False),
    "eks": Thing("EKS cluster", "00", ready="02"),
    "nodes": Thing("EKS: node group", "02", drawn=False),
    "eks/istiod": Thing("EKS: istiod", "02"),
    "eks/gateway": Thing("EKS: ingress gateway", "02"),
    **_objects("eks"),
    "cloud-nat": Thing("Cloud NAT", "00"),
    "gke": Thing("GKE cluster", "00", ready="03"),
    "gke/istiod": Thing("GKE: istiod", "03"),
    "gke/gateway": Thing("GKE: egress gateway", "03"),
    "gke/sleep": Thing("GKE: sleep", "03"),
    **_objects("gke"),
}


def notebook(key: str) -> str:
    """The notebook after which that resource can be used, e.g. "02-deploy-istio-in-eks"."""
    thing = THINGS[key]
    return NOTEBOOKS[thing.ready or thing.notebook]


def in_cluster(context: str, what: str) -> str:
    """The key of an object such as "virtualservice/vs-lambda"; if it has none, its cluster's."""
    wanted = f"{context}/{what}".lower()
    return next((key for key in THINGS if key.lower() == wanted), context)


def require(found: T | None, key: str, missing: str) -> T:
    """What was found; if nothing was, PrerequisiteError names the notebook that creates it."""
    if found is None:
        raise PrerequisiteError(missing, notebook(key))
    return found
