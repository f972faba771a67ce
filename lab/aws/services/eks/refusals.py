"""EKS. https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html and related pages."""

from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.subnets import Subnet
from moto.eks.exceptions import (
    EKSError,
    InvalidParameterException,
    ResourceInUseException,
    ResourceNotFoundException,
)
from moto.eks.models import Cluster

from lab.aws.services.ec2.lookups import find_subnet
from lab.aws.services.iam import roles

VERSION = "1.35"  # the lab's only one: the minor version of its Kubernetes programs


class ResourceLimitExceededException(EKSError):
    """The error code of EKS's quotas."""

    TYPE = "ResourceLimitExceededException"
    STATUS = 400


def create_cluster(
    ec2: EC2Backend, name: str, version: str | None, role_arn: str, vpc_config: dict[str, Any]
) -> None:
    if version not in (None, VERSION):
        _refuse("unsupported Kubernetes version", clusterName=name)
    _role(ec2.account_id, role_arn, "eks.amazonaws.com")
    subnets = _subnets(ec2, vpc_config.get("subnetIds", []))
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        _refuse("Subnets specified must be in at least two different AZs", clusterName=name)
    for group_id in vpc_config.get("securityGroupIds", []):
        if ec2.get_security_group_from_id(group_id) is None:
            _refuse(f"The security group ID '{group_id}' does not exist", clusterName=name)


def access(config: dict[str, Any]) -> None:
    """A limit of the lab."""
    if config.get("bootstrapClusterCreatorAdminPermissions") is False:
        _refuse("The lab does not offer clusters whose creator is not their administrator.")


def update_cluster_config(
    cluster: Cluster, vpc_config: dict[str, Any], logging: dict[str, Any] | None
) -> None:
    """https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateClusterConfig.html"""
    if not cluster.is_active:
        message = f"Cannot update cluster {cluster.name}: it is in the status {cluster.status}"
        raise ResourceInUseException(
            clusterName=cluster.name, nodegroupName=None, addonName=None, message=message
        )
    access = vpc_config != cluster.resources_vpc_config
    if access and logging:
        _refuse("Only one type of update can be allowed.", clusterName=cluster.name)
    if not access and logging in (None, cluster.logging):
        _refuse("Cluster is already at the desired configuration", clusterName=cluster.name)


def second_cluster(ec2: EC2Backend, others: list[Cluster], vpc_config: dict[str, Any]) -> None:
    """A limit of the lab: a cluster's pods and Services are in the VPC's one namespace."""
    vpc_id = _subnets(ec2, vpc_config["subnetIds"])[0].vpc_id
    for other in others:
        if other.resources_vpc_config["vpcId"] == vpc_id:
            raise ResourceLimitExceededException(
                clusterName=other.name, message=f"The lab has one cluster per VPC, here '{other.name}'."
            )


def create_nodegroup(ec2: EC2Backend, cluster: Cluster, role_arn: str, subnet_ids: list[str]) -> None:
    _role(ec2.account_id, role_arn, "ec2.amazonaws.com")
    node_role(ec2.account_id, role_arn)
    for subnet in _subnets(ec2, subnet_ids):
        if subnet.vpc_id != cluster.resources_vpc_config["vpcId"]:
            _refuse(f"Subnet '{subnet.id}' is not in the VPC of the cluster", clusterName=cluster.name)


def node_role(account_id: str, role_arn: str) -> None:
    """https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html"""
    role = roles.find(account_id, role_arn)
    attached = {arn.rpartition("/")[2] for arn in role.managed_policies} if role else set()
    pull = {"AmazonEC2ContainerRegistryPullOnly", "AmazonEC2ContainerRegistryReadOnly"}
    if "AmazonEKSWorkerNodePolicy" not in attached or not pull & attached:
        _refuse(
            "The provided role doesn't have the Amazon EKS Managed Policies associated with it. "
            "Please ensure the following policies "
            "[AmazonEKSWorkerNodePolicy, AmazonEC2ContainerRegistryReadOnly] are attached"
        )


def delete_cluster(cluster: Cluster) -> None:
    if cluster.status == "CREATING":
        raise ResourceInUseException(
            clusterName=cluster.name,
            nodegroupName=None,
            addonName=None,
            message=f"Cannot delete because cluster {cluster.name} currently has an update in progress",
        )


def second_nodegroup(cluster: Cluster) -> None:
    """A limit of the lab."""
    if cluster.nodegroups:
        raise ResourceLimitExceededException(
            clusterName=cluster.name, message="The lab has one node group, of one node, per cluster."
        )


def _subnets(ec2: EC2Backend, subnet_ids: list[str]) -> list[Subnet]:
    found = [(subnet_id, find_subnet(ec2, subnet_id)) for subnet_id in subnet_ids]
    for subnet_id, subnet in found:
        if subnet is None:
            _refuse(f"The subnet ID '{subnet_id}' does not exist")
    subnets = [subnet for _, subnet in found if subnet]
    if len({subnet.vpc_id for subnet in subnets}) > 1:
        _refuse("Subnets must all be in the same VPC")
    return subnets


def _role(account_id: str, arn: str, service: str) -> None:
    if not roles.assumable(account_id, arn, service):
        _refuse(
            f"Role with arn: {arn}, could not be assumed because it does not exist "
            "or the trusted entity is not correct"
        )


def _refuse(message: str, **members: str) -> None:
    raise InvalidParameterException(message=message, **members)


def not_found(arn: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(message=f"No resource found for ARN: {arn}.")


def no_update(name: str, update_id: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(clusterName=name, message=f"No update found for ID: {update_id}")
