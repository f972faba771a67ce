"""What is in front of a function, created by boto3 for the duration of a test."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.pki import SERVER, CertificateAuthority

Client = Callable[[str], Any]


@contextmanager
def certificate(client: Client, host: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """The ARN in ACM of a certificate for that host, and the certificate file of the CA that signed it."""
    authority, acm = CertificateAuthority("tests"), client("acm")
    pair, ca = authority.issue(host, SERVER, names=(host,)), folder / "ca.crt"
    ca.write_bytes(authority.pair.certificate)
    chain = authority.pair.certificate
    arn = acm.import_certificate(Certificate=pair.certificate, PrivateKey=pair.key, CertificateChain=chain)
    yield arn["CertificateArn"], ca
    acm.delete_certificate(CertificateArn=arn["CertificateArn"])


@contextmanager
def target_group(client: Client, name: str, function: str) -> Iterator[str]:
    """The ARN of a target group with that function, which is given by name and ARN."""
    elb = client("elbv2")
    arn = elb.create_target_group(Name=name, TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    principal = {"Action": "lambda:InvokeFunction", "Principal": "elasticloadbalancing.amazonaws.com"}
    client("lambda").add_permission(FunctionName=name, StatementId="alb", SourceArn=arn, **principal)
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": function}])
    yield arn
    elb.delete_target_group(TargetGroupArn=arn)


@contextmanager
def balancer(client: Client, name: str, subnets: list[str]) -> Iterator[tuple[str, str]]:
    """The ARN of an active internal load balancer without listeners, and one of its addresses."""
    elb = client("elbv2")
    made = elb.create_load_balancer(Name=name, Subnets=subnets, Scheme="internal")
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn], WaiterConfig={"Delay": 1})
    described = [{"Name": "description", "Values": [f"ELB {arn.partition(':loadbalancer/')[2]}"]}]
    interface = client("ec2").describe_network_interfaces(Filters=described)["NetworkInterfaces"][0]
    yield arn, interface["PrivateIpAddress"]
    elb.delete_load_balancer(LoadBalancerArn=arn)
