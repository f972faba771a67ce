"""One EKS cluster: moto's description of it, and the real Kubernetes cluster."""

import base64
import logging
import secrets
import uuid
from ipaddress import IPv4Network
from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.eks.models import DEFAULT_KUBERNETES_NETWORK_CONFIG, Nodegroup

from lab.aws.context import LabContext
from lab.aws.services.classic.services import ServiceBalancers
from lab.aws.services.ec2.networks import Networks
from lab.aws.services.eks import tokens
from lab.aws.services.eks.refusals import VERSION
from lab.cluster.cluster import Cluster, ClusterSpec
from lab.cluster.token_review import TokenWebhook, User

log = logging.getLogger(__name__)

PLATFORM_VERSION = "eks.1"
RELEASE_VERSION = "1.35.4-20261101"
_SERVICES = "172.20.0.0/16", "10.100.0.0/16"  # EKS uses the one that does not overlap the VPC


class ControlPlane:
    """Each step sets the description's state as on EKS."""

    def __init__(self, context: LabContext, region: str, description: Any, creator: str) -> None:
        self._context, self._region, self._creator = context, region, creator
        self._networks = context.peer(Networks, region)
        self._description = description  # moto's Cluster, whose types know no state but ACTIVE
        self._interfaces: list[NetworkInterface] = []
        self._webhook: TokenWebhook | None = None
        self._cluster: Cluster | None = None
        self._node: NetworkInterface | None = None
        self._describe()

    def _describe(self) -> None:
        d, config = self._description, self._description.resources_vpc_config
        subnet = self._networks.get_subnet(config["subnetIds"][0])
        vpc = self._networks.get_vpc(subnet.vpc_id)
        # EKS shows no endpoint and no certificate before the cluster is ACTIVE.
        d.status, d.endpoint, d.certificate_authority = "CREATING", None, None
        d.version, d.platformVersion, d.health = VERSION, PLATFORM_VERSION, {"issues": []}
        issuer = f"oidc.eks.{self._region}.amazonaws.com/id/{uuid.uuid4().hex.upper()}"
        d.identity = {"oidc": {"issuer": f"https://{issuer}"}}
        services = next(c for c in _SERVICES if not IPv4Network(c).overlaps(IPv4Network(vpc.cidr_block)))
        given = d.kubernetes_network_config
        given = {} if given is DEFAULT_KUBERNETES_NETWORK_CONFIG else given
        d.kubernetes_network_config = {"serviceIpv4Cidr": services, "ipFamily": "ipv4", **given}
        group = self._networks.create_security_group(
            f"eks-cluster-sg-{d.name}-{uuid.uuid4().int % 10**10}",
            "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
            "as well as any managed workloads.",
            vpc_id=vpc.id,
            tags={f"kubernetes.io/cluster/{d.name}": "owned", "aws:eks:cluster-name": d.name},
        )
        d.resources_vpc_config = {
            "endpointPublicAccess": True,
            "endpointPrivateAccess": False,
            "publicAccessCidrs": ["0.0.0.0/0"],
            "securityGroupIds": [],
            **config,
            "vpcId": vpc.id,
            "clusterSecurityGroupId": group.id,
        }

    def create(self) -> None:
        """CREATING → ACTIVE, or FAILED with the reason in `health`."""
        d = self._description
        try:
            self._cluster = self._make()
            self._cluster.start_control_plane()
        except Exception as error:
            log.exception("creating the EKS cluster %s", d.name)
            d.health = _issue("InternalFailure", error)
            d.status = "DELETING" if d.status == "DELETING" else "FAILED"
            return
        d.endpoint = f"https://{self._cluster.endpoint}"
        d.certificate_authority = {"data": base64.b64encode(self._cluster.ca_certificate).decode()}
        if d.status == "CREATING":  # may have been deleted
            d.status = "ACTIVE"

    def look(self) -> None:
        """Report in `health` which programs ended unexpectedly."""
        d = self._description
        if self._cluster and d.status in ("ACTIVE", "UPDATING"):
            ended = "; ".join(self._cluster.ended())
            d.health = _issue("InternalFailure", RuntimeError(ended)) if ended else {"issues": []}

    def updated(self) -> None:
        """UPDATING → ACTIVE: updates are stored and shown; running programs are not affected."""
        if self._description.status == "UPDATING":
            self._description.status = "ACTIVE"

    def _make(self) -> Cluster:
        d, config = self._description, self._description.resources_vpc_config
        vpc = self._networks.namespace(config["vpcId"])
        groups = [config["clusterSecurityGroupId"], *config["securityGroupIds"]]
        self._interfaces = [
            self._networks.create_managed_interface(subnet, f"Amazon EKS {d.name}", groups, seed=d.name)
            for subnet in config["subnetIds"][:2]
        ]
        self._webhook = TokenWebhook(vpc.namespace, self._user)
        services = d.kubernetes_network_config["serviceIpv4Cidr"]
        spec = ClusterSpec(
            name=f"eks-{self._region}-{d.name}",
            address=str(self._interfaces[0].private_ip_address),
            service_range=services,
            dns_ip=str(IPv4Network(services)[10]),
            resolver=vpc.resolver,
            token_webhook=self._webhook.kubeconfig,
        )
        balancers = ServiceBalancers(vpc, self._context, self._region, d)
        return self._context.make_cluster(spec, vpc, balancers)

    def _user(self, token: str) -> User:
        return tokens.user(token, self._description.name, self._context.endpoint_url, self._creator)

    def describe_nodegroup(self, group: Nodegroup) -> None:
        """Current defaults instead of moto's."""
        group.status, group.health = "CREATING", {"issues": []}
        group.version, group.release_version = VERSION, RELEASE_VERSION
        group.ami_type = "AL2023_x86_64_STANDARD"
        group.resources = {"autoScalingGroups": [{"name": f"eks-{group.nodegroup_name}-{group.uuid}"}]}
        group.remote_access = {}

    def create_node(self, group: Nodegroup) -> None:
        """CREATING → ACTIVE, or CREATE_FAILED with the reason in `health`."""
        try:
            self._start_node(group)
        except Exception as error:
            log.exception("creating the node group %s", group.nodegroup_name)
            group.health = _issue("NodeCreationFailure", error)
            group.status = "DELETING" if group.status == "DELETING" else "CREATE_FAILED"
            return
        if group.status == "CREATING":
            group.status = "ACTIVE"

    def _start_node(self, group: Nodegroup) -> None:
        assert self._cluster
        config, region = self._description.resources_vpc_config, self._region
        self._node = self._networks.create_managed_interface(
            group.subnets[0],
            f"Node of {group.cluster_name}/{group.nodegroup_name}",
            [config["clusterSecurityGroupId"]],
            seed=f"{group.cluster_name}/{group.nodegroup_name}",
        )
        address = str(self._node.private_ip_address)
        domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
        labels = {
            "eks.amazonaws.com/nodegroup": group.nodegroup_name,
            "eks.amazonaws.com/capacityType": group.capacity_type,
            "node.kubernetes.io/instance-type": group.instance_types[0],
            "topology.kubernetes.io/region": region,
            "topology.kubernetes.io/zone": self._node.availability_zone,
            **group.labels,
        }
        name = f"ip-{address.replace('.', '-')}.{domain}"
        instance = f"i-0{secrets.token_hex(8)}"  # known to Kubernetes and its load balancers, not to EC2
        provider_id = f"aws:///{self._node.availability_zone}/{instance}"
        pods = self._networks.add_pod_addresses(self._node)
        self._cluster.start_node(name, address, labels, pods, provider_id)

    def delete_node(self) -> None:
        """Returns when the node and its network interface are deleted."""
        if self._cluster:
            self._cluster.stop_node()
        if self._node:
            self._networks.delete_managed_interface(self._node)
            self._node = None

    def delete(self) -> None:
        """Returns when the whole cluster is deleted, including its security group."""
        self.delete_node()
        if self._cluster:
            self._cluster.stop()
        if self._webhook:
            self._webhook.close()
        for interface in self._interfaces:
            self._networks.delete_managed_interface(interface)
        self._networks.delete_security_group(
            group_id=self._description.resources_vpc_config["clusterSecurityGroupId"]
        )


def _issue(code: str, error: Exception) -> dict[str, Any]:
    return {"issues": [{"code": code, "message": str(error), "resourceIds": []}]}
