"""The things that the series makes, and how each of them is: the words of "what exists now"."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from helpers.base.tables import Table

How = Literal["none", "making", "there", "broken", "unknown"]


@dataclass(frozen=True)
class Part:
    """How a thing is, the same in its service's words (or the reason why it is broken), and its values."""

    how: How = "none"
    state: str = ""
    values: tuple[str, ...] = ()


class Thing(NamedTuple):
    """What a thing is called, and the number of the notebook that makes it."""

    name: str
    notebook: str


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


def object_keys(cluster: str) -> list[str]:
    """Keys of a cluster's objects, in the order in which its notebook makes them."""
    return [f"{cluster}/{kind}/{name}" for kind, name in OBJECTS[cluster].names]


def _objects(cluster: str) -> dict[str, Thing]:
    place = f"{cluster.upper()}: "
    return {
        f"{cluster}/{kind}/{name}": Thing(f"{place}{kind} {name}", OBJECTS[cluster].notebook)
        for kind, name in OBJECTS[cluster].names
    }


THINGS = {
    "vpc": Thing("VPC", "00"),
    "subnets": Thing("subnets", "00"),
    "nat": Thing("NAT gateway", "00"),
    "function": Thing("Lambda function", "01"),
    "alb": Thing("internal ALB", "01"),
    "listeners": Thing("listeners", "01"),
    "target": Thing("target group", "01"),
    "eks": Thing("EKS cluster", "00"),
    "eks/istiod": Thing("EKS: istiod", "02"),
    "eks/gateway": Thing("EKS: ingress gateway", "02"),
    **_objects("eks"),
    "cloud-nat": Thing("Cloud NAT", "00"),
    "gke": Thing("GKE cluster", "00"),
    "gke/istiod": Thing("GKE: istiod", "03"),
    "gke/gateway": Thing("GKE: egress gateway", "03"),
    "gke/sleep": Thing("GKE: sleep", "03"),
    **_objects("gke"),
}


class Parts(dict[str, Part]):
    """How each thing is; what is not in it is not there yet."""

    def __missing__(self, key: str) -> Part:
        assert key in THINGS, key
        return Part()

    def all_there(self, *keys: str) -> bool:
        """Whether all of these exist, and none of them is broken."""
        return all(self[key].how == "there" for key in keys)

    def ways(self) -> dict[str, bool]:
        """Which ways requests can take: True is open; what is missing for the others is not there yet."""
        door = self.all_there("eks/gateway", *object_keys("eks"))
        ends = self.all_there("gke/sleep", "gke/gateway", "eks/gateway")
        return {
            "internal ALB → Lambda function": self.all_there("alb", "listeners", "target", "function"),
            "ingress gateway → internal ALB": door and self.all_there("alb", "listeners"),
            "egress gateway → ingress gateway": ends and self.all_there(*object_keys("gke")),
        }


def words(parts: Parts) -> str:
    """Everything that the picture shows, as an aligned table."""
    rows = [(thing.name, *_said(parts[key], thing)) for key, thing in THINGS.items()]
    rows += [
        (f"way {name}", "open" if is_open else "not open yet", "") for name, is_open in parts.ways().items()
    ]
    if parts["alb"].how != "none":
        rows.append(("way outside → internal ALB", "closed", "no route leads to private addresses"))
    return repr(Table(("thing", "state", "detail"), rows))


def _said(part: Part, thing: Thing) -> tuple[str, str]:
    if part.how == "none":
        return "not yet", f"notebook {thing.notebook} makes it"
    if part.how == "unknown":
        return "not known", "the cluster gave no answer"
    return part.state, ", ".join(part.values)
