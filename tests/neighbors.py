"""Similar resources that a reader has in the same account: a VPC with a private load balancer."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import boto3
from tenacity import Retrying, stop_after_delay, wait_fixed

from tests.lab.aws.conftest import HELLO, zip_source

HOST = "alb.example.com"
_NAME = "neighbor"
_QUICK = {"Delay": 1, "MaxAttempts": 60}
_TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


class Neighbors:
    """They are created with this object and deleted by `undo`."""

    def __init__(self, environment: dict[str, str], undo: ExitStack) -> None:
        keys = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
        self._session = boto3.Session(*keys, region_name=environment["AWS_REGION"])
        self._endpoint, self._undo = environment["AWS_ENDPOINT_URL"], undo
        self._make_network()
        self._make_function()
        self._make_balancer()
        self._make_zone()
        acm = self._client("acm")
        arn = acm.request_certificate(DomainName=HOST, ValidationMethod="DNS")["CertificateArn"]
        undo.callback(acm.delete_certificate, CertificateArn=arn)

    def records(self) -> list[dict[str, Any]]:
        """The records in their zone."""
        listed = self._client("route53").list_resource_record_sets(HostedZoneId=self.zone)
        return listed["ResourceRecordSets"]

    def _client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self._endpoint)

    def _make_network(self) -> None:
        """The same range, and a security group of the same name."""
        ec2 = self._client("ec2")
        self.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self._undo.callback(ec2.delete_vpc, VpcId=self.vpc)
        self.subnets = []
        for index, zone in enumerate("ab", 1):
            place = {"CidrBlock": f"10.0.{index}.0/24", "AvailabilityZone": f"us-east-1{zone}"}
            self.subnets.append(ec2.create_subnet(VpcId=self.vpc, **place)["Subnet"]["SubnetId"])
            self._undo.callback(ec2.delete_subnet, SubnetId=self.subnets[-1])
        group = {"GroupName": "istio-multicloud-alb", "Description": "d", "VpcId": self.vpc}
        self.group = ec2.create_security_group(**group)["GroupId"]
        self._undo.callback(self._again, ec2.delete_security_group, GroupId=self.group)
        http = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}
        ec2.authorize_security_group_ingress(GroupId=self.group, IpPermissions=[http])

    def _make_function(self) -> None:
        iam, functions, logs = self._client("iam"), self._client("lambda"), self._client("logs")
        document = json.dumps({"Version": "2012-10-17", "Statement": [_TRUST]})
        role = iam.create_role(RoleName=_NAME, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        self._undo.callback(iam.delete_role, RoleName=_NAME)
        code = {"Runtime": "python3.13", "Handler": "app.handler", "Code": {"ZipFile": zip_source(HELLO)}}
        made = self._again(functions.create_function, FunctionName=_NAME, Role=role, **code)
        self.function = made["FunctionArn"]
        self._undo.callback(functions.delete_function, FunctionName=_NAME)
        functions.get_waiter("function_active_v2").wait(FunctionName=_NAME, WaiterConfig=_QUICK)
        for group in (f"/aws/lambda/{_NAME}", "/aws/lambda/istio-multicloud-hello-world-too"):
            logs.create_log_group(logGroupName=group)
            self._undo.callback(logs.delete_log_group, logGroupName=group)

    def _make_balancer(self) -> None:
        elb = self._client("elbv2")
        made = elb.create_target_group(Name=_NAME, TargetType="lambda")["TargetGroups"][0]
        target = made["TargetGroupArn"]
        self._undo.callback(self._again, elb.delete_target_group, TargetGroupArn=target)
        self._client("lambda").add_permission(
            FunctionName=_NAME,
            StatementId="alb",
            Action="lambda:InvokeFunction",
            Principal="elasticloadbalancing.amazonaws.com",
            SourceArn=target,
        )
        elb.register_targets(TargetGroupArn=target, Targets=[{"Id": self.function}])
        place = {"Subnets": self.subnets, "SecurityGroups": [self.group]}
        [self.balancer] = elb.create_load_balancer(Name=_NAME, Scheme="internal", **place)["LoadBalancers"]
        arn = self.balancer["LoadBalancerArn"]
        self._undo.callback(elb.delete_load_balancer, LoadBalancerArn=arn)
        elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn], WaiterConfig=_QUICK)
        forward = [{"Type": "forward", "TargetGroupArn": target}]
        elb.create_listener(LoadBalancerArn=arn, Port=80, Protocol="HTTP", DefaultActions=forward)

    def _make_zone(self) -> None:
        """The tutorial's host name is an alias of their load balancer in their VPC."""
        route53 = self._client("route53")
        place = {"VPCRegion": "us-east-1", "VPCId": self.vpc}
        made = route53.create_hosted_zone(Name="example.com", CallerReference=_NAME, VPC=place)
        self.zone = made["HostedZone"]["Id"].rpartition("/")[2]
        self._undo.callback(route53.delete_hosted_zone, Id=self.zone)
        target = {"DNSName": self.balancer["DNSName"], "EvaluateTargetHealth": False}
        alias = {**target, "HostedZoneId": self.balancer["CanonicalHostedZoneId"]}
        record = {"Name": HOST, "Type": "A", "AliasTarget": alias}
        change = route53.change_resource_record_sets
        change(HostedZoneId=self.zone, ChangeBatch=_batch("CREATE", record))
        self._undo.callback(change, HostedZoneId=self.zone, ChangeBatch=_batch("DELETE", record))

    @staticmethod
    def _again(do: Any, **parameters: Any) -> Any:
        """A new role is not visible at once, and resources of a load balancer are not free at once."""
        return Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.5), reraise=True)(do, **parameters)


def _batch(action: str, record: dict[str, Any]) -> dict[str, Any]:
    return {"Changes": [{"Action": action, "ResourceRecordSet": record}]}


@contextmanager
def living_in(environment: dict[str, str]) -> Iterator[Neighbors]:
    """Their resources exist in the clouds inside the block."""
    with ExitStack() as undo:
        yield Neighbors(environment, undo)
