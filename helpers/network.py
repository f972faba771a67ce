"""The VPC in AWS: three private and three public subnets, one of each in three Availability Zones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from helpers import aws, show
from helpers.aws import deletion, ec2
from helpers.base import contents, folding
from helpers.base.errors import SettingsError, TutorialError
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.waiting import resume_after_lost_answer, wait_until

CIDR = "10.0.0.0/16"
PRIVATE = ("10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24")
PUBLIC = ("10.0.101.0/24", "10.0.102.0/24", "10.0.103.0/24")
# By id, because zone names differ between accounts:
# https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
_ZONES_WITHOUT_EKS = ("use1-az3", "usw1-az2", "cac1-az3")
_KINDS = (
    "NAT gateway",
    "elastic IP",
    "network interface",
    "route table",
    "subnet",
    "security group",
    "internet gateway",
    "VPC",
)
# Resources of Kubernetes' and EKS's controllers lack our tag; interfaces of pods outlive their nodes.
_BY_VPC: dict[str, dict[str, str]] = {
    "network interface": {"status": "available"},
    "subnet": {},
    "security group": {},
}
_GATEWAY_LIMIT = 600  # seconds; AWS takes one to three minutes for a NAT gateway


@dataclass
class Network:
    """The VPC and the IDs of its subnets, in the order of their zones."""

    vpc_id: str
    cidr: str
    private: list[str]
    public: list[str]

    def table(self) -> show.Table:
        """The subnets: zone, addresses, and whether they have a route to the internet gateway."""
        by_id = {subnet["SubnetId"]: subnet for subnet in _subnets(self.vpc_id)}
        rows = [
            {"subnet": kind, "zone": by_id[id_]["AvailabilityZone"], "addresses": by_id[id_]["CidrBlock"]}
            for kind, ids in (("private", self.private), ("public", self.public))
            for id_ in ids
        ]
        return show.table(rows)

    def _ipython_display_(self) -> None: ...


def get() -> Network:
    """The VPC with its subnets; raises PrerequisiteError if it or one of them is missing."""
    return contents.require(find(), "vpc", f"no VPC tagged Project={current().TUTORIAL_NAME}")


def find() -> Network | None:
    """The VPC with its subnets, found by its tag, or None if it or one of them is missing."""
    for vpc in ec2.tagged("VPC"):
        by_cidr = {subnet["CidrBlock"]: subnet["SubnetId"] for subnet in _subnets(vpc["VpcId"])}
        if {*PRIVATE, *PUBLIC} <= set(by_cidr):
            private, public = [by_cidr[cidr] for cidr in PRIVATE], [by_cidr[cidr] for cidr in PUBLIC]
            return Network(vpc["VpcId"], vpc["CidrBlock"], private, public)
    return None


@folding.step()
@resume_after_lost_answer
def ensure() -> Network:
    """Create the missing parts of the network. Nodes in private subnets use one NAT gateway."""
    existing = find()
    vpc_id = _ensure_vpc()
    internet_gateway = _ensure_internet_gateway(vpc_id)
    private, public = _ensure_subnets(vpc_id)
    _ensure_routes(vpc_id, "public", public, GatewayId=internet_gateway)
    _ensure_routes(vpc_id, "private", private, NatGatewayId=_ensure_nat_gateway(public[0]))
    if existing:
        subnets = len(existing.private) + len(existing.public)
        print(f"VPC {vpc_id} with its {subnets} subnets exists")
    return get()


def delete() -> None:
    """Delete it with everything in the VPC, including what Kubernetes' controllers created without our tag.

    Waits for what still uses it: a NAT gateway being deleted, a load balancer's network interfaces.
    """
    for kind, thing in _existing():
        if kind == "route table":
            for association in thing["Associations"]:
                id_ = association["RouteTableAssociationId"]
                deletion.undo("ec2", "disassociate_route_table", AssociationId=id_)
        if kind == "internet gateway":
            ids = {"InternetGatewayId": thing["InternetGatewayId"]}
            for attachment in thing.get("Attachments", []):
                deletion.delete("ec2", "detach_internet_gateway", **ids, VpcId=attachment["VpcId"])
        ec2.delete(kind, ec2.id_of(kind, thing))
        if kind == "NAT gateway":
            _wait_deleted(thing["NatGatewayId"])


def _wait_deleted(gateway: str) -> None:
    """Its address and its subnet are in use until then."""

    def state() -> str:
        missing, words = "NatGatewayNotFound", {"NatGatewayIds": [gateway]}
        found = aws.found(missing, service="ec2", operation="describe_nat_gateways", **words)
        return found["NatGateways"][0]["State"] if found and found["NatGateways"] else "deleted"

    what = f"NAT gateway {gateway} to be deleted"
    wait_until(what, state, lambda now: now == "deleted", timeout=_GATEWAY_LIMIT)
    aws.waited("ec2", "nat_gateway_deleted", NatGatewayIds=[gateway])


def leftovers() -> list[Resource]:
    """What exists, in the order of deletion."""
    return [Resource("AWS", kind, ec2.id_of(kind, thing)) for kind, thing in _existing()]


def _existing() -> Iterator[tuple[str, dict[str, Any]]]:
    """Kinds and resources, dependents first; each kind is listed when it is reached."""
    vpcs = [vpc["VpcId"] for vpc in ec2.tagged("VPC")]
    for kind in _KINDS:
        if kind in _BY_VPC:
            things = [thing for vpc in vpcs for thing in ec2.found(kind, **{"vpc-id": vpc}, **_BY_VPC[kind])]
        else:
            things = ec2.tagged(kind)
        # The default security group is deleted with its VPC.
        yield from ((kind, thing) for thing in things if thing.get("GroupName") != "default")


def _ensure_vpc() -> str:
    if vpcs := ec2.tagged("VPC"):
        vpc_id = vpcs[0]["VpcId"]
    else:
        tags = ec2.tags("vpc")
        made = aws.change("ec2", "create_vpc", show="Vpc.VpcId", CidrBlock=CIDR, TagSpecifications=tags)
        vpc_id = made["Vpc"]["VpcId"]
    # EKS nodes register by DNS names: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        asked = {"VpcId": vpc_id, "Attribute": attribute[0].lower() + attribute[1:]}
        if not aws.call("ec2", "describe_vpc_attribute", **asked)[attribute]["Value"]:
            enabled: dict[str, Any] = {attribute: {"Value": True}}
            aws.change("ec2", "modify_vpc_attribute", VpcId=vpc_id, **enabled)
    return vpc_id


def _ensure_internet_gateway(vpc_id: str) -> str:
    if gateways := ec2.tagged("internet gateway"):
        gateway, id_ = gateways[0], gateways[0]["InternetGatewayId"]
    else:
        tags, show = ec2.tags("internet-gateway"), "InternetGateway.InternetGatewayId"
        made = aws.change("ec2", "create_internet_gateway", show=show, TagSpecifications=tags)
        gateway, id_ = made["InternetGateway"], made["InternetGateway"]["InternetGatewayId"]
    if not gateway.get("Attachments"):
        aws.change("ec2", "attach_internet_gateway", InternetGatewayId=id_, VpcId=vpc_id)
    return id_


def _ensure_subnets(vpc_id: str) -> tuple[list[str], list[str]]:
    names = _zones()
    there = {subnet["CidrBlock"]: subnet["SubnetId"] for subnet in _subnets(vpc_id)}
    private = [_ensure_subnet(vpc_id, *pair, "private", there) for pair in zip(PRIVATE, names, strict=True)]
    public = [_ensure_subnet(vpc_id, *pair, "public", there) for pair in zip(PUBLIC, names, strict=True)]
    return private, public


def _zones() -> list[str]:
    """Names of three zones that EKS's control plane supports; raises SettingsError."""
    # No local or wavelength zones.
    ordinary = [{"Name": "zone-type", "Values": ["availability-zone"]}]
    zones = aws.list_all("ec2", "describe_availability_zones", "AvailabilityZones", Filters=ordinary)
    names = sorted(zone["ZoneName"] for zone in zones if zone["ZoneId"] not in _ZONES_WITHOUT_EKS)[:3]
    if len(names) < len(PRIVATE):
        region = current().AWS_REGION
        answer = f"{region} has {len(names)} zones for EKS, but three are needed"
        raise SettingsError("Choosing zones", answer, "set another AWS_REGION.")
    return names


def _ensure_subnet(vpc_id: str, cidr: str, zone: str, kind: str, there: dict[str, str]) -> str:
    if cidr in there:
        return there[cidr]
    # These tags tell EKS where to create load balancers:
    # https://docs.aws.amazon.com/eks/latest/userguide/network-load-balancing.html
    role = "kubernetes.io/role/elb" if kind == "public" else "kubernetes.io/role/internal-elb"
    cluster = f"kubernetes.io/cluster/{current().TUTORIAL_NAME}"
    tags = ec2.tags("subnet", f"-{kind}-{zone}", **{role: "1", cluster: "shared"})
    made = aws.change(
        "ec2",
        "create_subnet",
        show="Subnet.SubnetId",
        VpcId=vpc_id,
        CidrBlock=cidr,
        AvailabilityZone=zone,
        TagSpecifications=tags,
    )
    return made["Subnet"]["SubnetId"]


def _ensure_nat_gateway(subnet: str) -> str:
    gateways = [each for each in ec2.tagged("NAT gateway") if each["State"] in ("pending", "available")]
    if gateways:
        id_ = gateways[0]["NatGatewayId"]
        if gateways[0]["State"] == "available":
            return id_
    else:
        id_ = aws.change(
            "ec2",
            "create_nat_gateway",
            show="NatGateway.NatGatewayId",
            SubnetId=subnet,
            AllocationId=_ensure_address(),
            TagSpecifications=ec2.tags("natgateway"),
        )["NatGateway"]["NatGatewayId"]
    found = wait_until(
        f"NAT gateway {id_}",
        lambda: aws.call("ec2", "describe_nat_gateways", NatGatewayIds=[id_])["NatGateways"][0],
        lambda gateway: gateway["State"] != "pending",
        timeout=_GATEWAY_LIMIT,
        state=lambda gateway: gateway["State"],
    )
    if found["State"] != "available":
        answer = f"its state is {found['State']}: {found.get('FailureMessage', '')}"
        raise TutorialError(f"Creating the NAT gateway {id_}", answer, "correct that, then run this again.")
    aws.waited("ec2", "nat_gateway_available", NatGatewayIds=[id_])
    return id_


def _ensure_address() -> str:
    free = [address for address in ec2.tagged("elastic IP") if "AssociationId" not in address]
    if free:
        return free[0]["AllocationId"]
    tags = ec2.tags("elastic-ip")
    made = aws.change("ec2", "allocate_address", show="AllocationId", Domain="vpc", TagSpecifications=tags)
    return made["AllocationId"]


def _ensure_routes(vpc_id: str, kind: str, subnets: list[str], **target: str) -> None:
    if tables := ec2.tagged("route table", Name=f"{current().TUTORIAL_NAME}-{kind}"):
        table = tables[0]
    else:
        tags, show = ec2.tags("route-table", f"-{kind}"), "RouteTable.RouteTableId"
        made = aws.change("ec2", "create_route_table", show=show, VpcId=vpc_id, TagSpecifications=tags)
        table = made["RouteTable"]
    id_ = table["RouteTableId"]
    if not any(route.get("DestinationCidrBlock") == "0.0.0.0/0" for route in table.get("Routes", [])):
        aws.change("ec2", "create_route", RouteTableId=id_, DestinationCidrBlock="0.0.0.0/0", **target)
    associated = {association.get("SubnetId") for association in table.get("Associations", [])}
    for subnet in subnets:
        if subnet not in associated:
            words = {"RouteTableId": id_, "SubnetId": subnet}
            aws.change("ec2", "associate_route_table", show="AssociationId", **words)


def _subnets(vpc_id: str) -> list[dict[str, Any]]:
    return ec2.found("subnet", **{"vpc-id": vpc_id})
