"""EC2's part of the Service Authorization Reference, for calls about networks.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
"""

from moto.ec2.models import ec2_backends
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE

from lab.aws.api.authorization.policy import Need
from lab.aws.api.authorization.resources import arn, request_tags, resource_tags
from lab.aws.api.call import Call
from lab.settings import ACCOUNT_ID

# The types of resources that an action needs: a new one, or the one that a parameter names.
# Actions that are not listed, such as Describe*, have no resources.
_RESOURCES = {
    "AllocateAddress": "elastic-ip",
    "AssociateRouteTable": "route-table:RouteTableId subnet:SubnetId",
    "AttachInternetGateway": "internet-gateway:InternetGatewayId vpc:VpcId",
    "AuthorizeSecurityGroupIngress": "security-group:GroupId",
    "CreateInternetGateway": "internet-gateway",
    "CreateNatGateway": "natgateway subnet:SubnetId elastic-ip:AllocationId",
    "CreateNetworkInterface": "network-interface subnet:SubnetId",
    "CreateRoute": "route-table:RouteTableId",
    "CreateRouteTable": "route-table vpc:VpcId",
    "CreateSecurityGroup": "security-group vpc:VpcId",
    "CreateSubnet": "subnet vpc:VpcId",
    "CreateVolume": "volume",
    "CreateVpc": "vpc",
    "DeleteInternetGateway": "internet-gateway:InternetGatewayId",
    "DeleteNatGateway": "natgateway:NatGatewayId",
    "DeleteNetworkInterface": "network-interface:NetworkInterfaceId",
    "DeleteRoute": "route-table:RouteTableId",
    "DeleteRouteTable": "route-table:RouteTableId",
    "DeleteSecurityGroup": "security-group:GroupId",
    "DeleteSubnet": "subnet:SubnetId",
    "DeleteVolume": "volume:VolumeId",
    "DeleteVpc": "vpc:VpcId",
    "DetachInternetGateway": "internet-gateway:InternetGatewayId vpc:VpcId",
    "ModifyVpcAttribute": "vpc:VpcId",
    "ReleaseAddress": "elastic-ip:AllocationId",
    "ReplaceRoute": "route-table:RouteTableId",
    "ReplaceRouteTableAssociation": "route-table:RouteTableId",
    "RevokeSecurityGroupIngress": "security-group:GroupId",
}


def needs(call: Call) -> list[Need]:
    """A new resource's tags are request tags; tagging on creation also needs ec2:CreateTags."""
    if call.operation in ("CreateTags", "DeleteTags"):
        return _tagging(call)
    if call.operation == "DisassociateRouteTable":
        return [_existing(call, resource) for resource in _associated(call)]
    found = []
    for resource in _RESOURCES.get(call.operation, "").split():
        type_, _, parameter = resource.partition(":")
        if not parameter:
            found += _new(call, type_)
        elif parameter in call.parameters:
            found.append(_existing(call, arn(call, "ec2", f"{type_}/{call.parameters[parameter]}")))
    return found or [Need(call.action)]


def _existing(call: Call, resource: str) -> Need:
    return Need(call.action, resource, resource_tags(call, resource))


def _new(call: Call, type_: str) -> list[Need]:
    resource = arn(call, "ec2", f"{type_}/*")
    specifications = call.parameters.get("TagSpecifications", [])
    tags = [tag for one in specifications if one.get("ResourceType") == type_ for tag in one.get("Tags", [])]
    keys = request_tags(tags)
    create = Need(call.action, resource, keys)
    on_creation = {**keys, "ec2:createaction": [call.operation]}
    return [create, Need("ec2:CreateTags", resource, on_creation)] if tags else [create]


def _tagging(call: Call) -> list[Need]:
    keys = request_tags(call.parameters.get("Tags"))
    resources = [arn(call, "ec2", f"{_type(id_)}/{id_}") for id_ in call.parameters.get("Resources", [])]
    return [Need(call.action, one, {**resource_tags(call, one), **keys}) for one in resources]


def _type(id_: str) -> str:
    type_ = EC2_PREFIX_TO_RESOURCE.get(id_.rpartition("-")[0], "unknown")
    return {"nat-gateway": "natgateway", "vpc-elastic-ip": "elastic-ip"}.get(type_, type_)


def _associated(call: Call) -> list[str]:
    association = call.parameters.get("AssociationId", "")
    for table in list(ec2_backends[ACCOUNT_ID][call.region].route_tables.values()):
        if association in table._associations:
            subnet = table._associations[association]
            return [arn(call, "ec2", f"route-table/{table.id}"), arn(call, "ec2", f"subnet/{subnet}")]
    return [arn(call, "ec2", "route-table/*")]
