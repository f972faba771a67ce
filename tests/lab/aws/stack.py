"""One resource of every type that a tutorial like this one creates, by boto3, in its own region."""

import json
import time
from collections.abc import Callable
from typing import Any

import boto3

from lab.aws import delays
from lab.aws.api.principals import OWN
from lab.pki import SERVER, CertificateAuthority
from tests.lab.aws.conftest import HELLO, NODE_POLICIES, zip_source

REGION = "eu-west-1"
DOMAIN = "stack.example.com"
QUICK = {"Delay": 1, "MaxAttempts": 60}
NAME = "stack"


class Stack:
    """Its resources by name: `stack.vpc`, `stack.balancer`, …: ids or ARNs."""

    def __init__(self, endpoint_url: str) -> None:
        session = boto3.Session(OWN.access_key_id, OWN.secret, region_name=REGION)
        self.endpoint_url = endpoint_url
        self.client: Callable[[str], Any] = lambda name: session.client(name, endpoint_url=endpoint_url)
        self._make_network()
        self._make_roles()
        self._make_function()
        self._make_front()
        self._make_cluster()

    def _make_network(self) -> None:
        ec2 = self.client("ec2")
        self.vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            ec2.create_subnet(
                VpcId=self.vpc, CidrBlock=f"10.20.{i}.0/24", AvailabilityZone=f"{REGION}{zone}"
            )["Subnet"]["SubnetId"]
            for i, zone in enumerate("ab", start=1)
        ]
        self.gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)
        self.table = ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        route = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": self.gateway}
        ec2.create_route(RouteTableId=self.table, **route)
        answer = ec2.associate_route_table(RouteTableId=self.table, SubnetId=self.subnets[0])
        self.association = answer["AssociationId"]
        self.address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = ec2.create_nat_gateway(SubnetId=self.subnets[0], AllocationId=self.address)
        self.nat = nat["NatGateway"]["NatGatewayId"]
        ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[self.nat], WaiterConfig=QUICK)
        group = ec2.create_security_group(GroupName=NAME, Description="d", VpcId=self.vpc)
        self.group = group["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=[RULE])

    def _make_roles(self) -> None:
        self.roles = {
            service: self._role(service, *(NODE_POLICIES if service == "ec2" else ()))
            for service in ("lambda", "eks", "ec2")
        }
        time.sleep(delays.ROLE)

    def _role(self, service: str, *policies: str) -> str:
        trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}}
        document = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
        iam, name = self.client("iam"), f"{NAME}-{service}"
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
        for policy in policies:
            iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/{policy}")
        return made["Role"]["Arn"]

    def _make_function(self) -> None:
        functions = self.client("lambda")
        self.function = functions.create_function(
            FunctionName=NAME,
            Runtime="python3.13",
            Handler="app.handler",
            Role=self.roles["lambda"],
            Code={"ZipFile": zip_source(HELLO)},
        )["FunctionArn"]
        functions.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig=QUICK)
        self.client("logs").create_log_group(logGroupName=f"/aws/lambda/{NAME}")

    def _make_front(self) -> None:
        elb, route53 = self.client("elbv2"), self.client("route53")
        made = elb.create_target_group(Name=NAME, TargetType="lambda")
        self.target_group = made["TargetGroups"][0]["TargetGroupArn"]
        self.client("lambda").add_permission(**PERMISSION, SourceArn=self.target_group)
        elb.register_targets(TargetGroupArn=self.target_group, Targets=[{"Id": self.function}])
        made = elb.create_load_balancer(
            Name=NAME, Scheme="internal", Subnets=self.subnets, SecurityGroups=[self.group]
        )
        self.balancer = made["LoadBalancers"][0]["LoadBalancerArn"]
        elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[self.balancer], WaiterConfig=QUICK)
        pair = CertificateAuthority("the stack's CA").issue(DOMAIN, SERVER, names=(DOMAIN,))
        imported = self.client("acm").import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)
        self.certificate = imported["CertificateArn"]
        self.listener = elb.create_listener(**self.https())["Listeners"][0]["ListenerArn"]
        zone = route53.create_hosted_zone(Name=DOMAIN, CallerReference=NAME)
        self.zone = zone["HostedZone"]["Id"].rpartition("/")[2]
        route53.change_resource_record_sets(HostedZoneId=self.zone, ChangeBatch=record("CREATE"))

    def https(self) -> dict[str, Any]:
        """The request for the listener."""
        return {
            "LoadBalancerArn": self.balancer,
            "Protocol": "HTTPS",
            "Port": 443,
            "Certificates": [{"CertificateArn": self.certificate}],
            "DefaultActions": [{"Type": "forward", "TargetGroupArn": self.target_group}],
        }

    def _make_cluster(self) -> None:
        eks = self.client("eks")
        eks.create_cluster(**self.cluster())
        eks.get_waiter("cluster_active").wait(name=NAME, WaiterConfig=QUICK)
        eks.create_nodegroup(**self.node_group())
        eks.get_waiter("nodegroup_active").wait(clusterName=NAME, nodegroupName="n", WaiterConfig=QUICK)

    def cluster(self) -> dict[str, Any]:
        """The request for the cluster."""
        config = {"subnetIds": self.subnets}
        return {"name": NAME, "roleArn": self.roles["eks"], "resourcesVpcConfig": config}

    def node_group(self) -> dict[str, Any]:
        """The request for the node group."""
        parts = {"subnets": self.subnets[:1], "nodeRole": self.roles["ec2"]}
        return {"clusterName": NAME, "nodegroupName": "n", **parts}


RULE = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.20.0.0/16"}]}
PERMISSION = {
    "FunctionName": NAME,
    "StatementId": "alb",
    "Action": "lambda:InvokeFunction",
    "Principal": "elasticloadbalancing.amazonaws.com",
}


def record(action: str) -> dict[str, Any]:
    """A change of the zone's only record."""
    values = {"TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    return {
        "Changes": [{"Action": action, "ResourceRecordSet": {"Name": f"www.{DOMAIN}", "Type": "A", **values}}]
    }
