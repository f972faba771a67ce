"""policies/aws.json allows everything that the tutorial does in AWS, and every permission is needed.

The helpers work as a user who has only that policy. Before each call, all permissions that are not yet
proven necessary are removed from the policy; those that a denial names are restored one by one.
"""

import copy
import json
import os
from collections.abc import Collection, Iterator
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from helpers import acm, classic_load_balancer, cleanup, dns, eks, function, load_balancer, network, pki
from helpers.aws import alb_log, denied, policy
from helpers.base.errors import TimedOutError
from helpers.base.settings import Settings, current, override
from helpers.clusters import client as cluster_client
from lab.aws import delays
from lab.aws.server import Aws
from lab.settings import ACCOUNT_ID
from series.preflight import aws as preflight
from tests.lab.aws.conftest import REGION

NAME, USER = "least-privilege", "reader"
ARN = f"arn:aws:iam::{ACCOUNT_ID}:policy/{NAME}"
Permission = tuple[str, str]  # a statement's Sid and one of its actions


class Reader:
    """A user with the tutorial's policy: `keys` signs; `grant` changes what is allowed."""

    def __init__(self, iam: Any, document: dict[str, Any]) -> None:
        self.iam, self.document = iam, document
        self.without: set[Permission] = set()
        iam.create_policy(PolicyName=NAME, PolicyDocument=json.dumps(document))
        iam.create_user(UserName=USER)
        iam.attach_user_policy(UserName=USER, PolicyArn=ARN)
        self.keys = iam.create_access_key(UserName=USER)["AccessKey"]

    def permissions(self) -> list[Permission]:
        return [(one["Sid"], action) for one in self.document["Statement"] for action in denied.actions(one)]

    def grant(self, without: Collection[Permission] = ()) -> None:
        """The policy without these permissions."""
        if set(without) == self.without:
            return
        self.without = set(without)
        document = copy.deepcopy(self.document)
        for statement in document["Statement"]:
            left = [one for one in denied.actions(statement) if (statement["Sid"], one) not in without]
            statement["Action"] = left or ["none:None"]
        former = self.iam.get_policy(PolicyArn=ARN)["Policy"]["DefaultVersionId"]
        self.iam.create_policy_version(PolicyArn=ARN, PolicyDocument=json.dumps(document), SetAsDefault=True)
        self.iam.delete_policy_version(PolicyArn=ARN, VersionId=former)

    def delete(self) -> None:
        self.iam.delete_access_key(UserName=USER, AccessKeyId=self.keys["AccessKeyId"])
        self.iam.detach_user_policy(UserName=USER, PolicyArn=ARN)
        self.iam.delete_user(UserName=USER)
        self.iam.delete_policy(PolicyArn=ARN)


@pytest.fixture(scope="module")
def settings(aws, programs, tmp_path_factory) -> Iterator[pytest.MonkeyPatch]:
    folder = tmp_path_factory.mktemp("least-privilege")
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name, raising=False)
        for delay in (name for name in vars(delays) if name.isupper()):
            patch.setattr(delays, delay, 0)  # permissions do not depend on delays
        patch.setattr(cluster_client, "RETRY_TIMEOUT", 0)  # the fake cluster has no API server
        patch.setenv("TUTORIAL_SETTINGS", os.devnull)
        patch.setenv("TUTORIAL_BUILD_DIR", str(folder / "build"))
        patch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
        patch.setenv("TUTORIAL_TOOLS", str(programs))
        patch.setenv("TUTORIAL_NAME", NAME)
        patch.setenv("TUTORIAL_DOMAIN", f"{NAME}.example.com")
        patch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
        patch.setenv("AWS_REGION", REGION)
        patch.setenv("TUTORIAL_AUTHORIZED_CIDR", "192.0.2.7")
        current.cache_clear()
        yield patch
    current.cache_clear()


@pytest.fixture(scope="module")
def reader(client, settings) -> Iterator[Reader]:
    reader = Reader(client("iam"), policy.document(ACCOUNT_ID))
    settings.setenv("AWS_ACCESS_KEY_ID", reader.keys["AccessKeyId"])
    settings.setenv("AWS_SECRET_ACCESS_KEY", reader.keys["SecretAccessKey"])
    current.cache_clear()
    yield reader
    reader.delete()


class Proof:
    """Which permissions are proven necessary; `denied` has the denials that prove it."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.unproved = set(reader.permissions())
        self.denied: dict[Permission, str] = {}

    def call(self, send: Any, client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        """Denied calls change nothing, so each can be tried until the policy has what it needs."""
        while True:
            self.reader.grant(without=self.unproved)
            try:
                return self._complete(send(client, operation, parameters), operation)
            except ClientError as error:
                lacking, message = self._lacking(error), error.response["Error"]["Message"]
                if not lacking:
                    raise
            # If several statements have the action, a dry run tells which is needed. Otherwise, a call that
            # succeeds without one of two permissions needs the other.
            ec2 = client.meta.service_model.service_name == "ec2"
            dry = {"DryRun": True} if ec2 and len(lacking) > 1 else {}
            for one in lacking:
                self.reader.grant(without={one})
                try:
                    answer = self._complete(send(client, operation, {**parameters, **dry}), operation)
                    for other in set(lacking) - {one}:
                        self._proved(other, message)
                    return answer
                except ClientError as error:
                    if one in self._lacking(error):
                        self._proved(one, error.response["Error"]["Message"])
                        break
                    if error.response["Error"]["Code"] != "DryRunOperation":
                        raise

    @staticmethod
    def _complete(answer: Any, operation: str) -> Any:
        """Lambda omits tags without denying the call: here that counts as a denial."""
        if error := answer.get("TagsError"):
            said = {"Code": error["ErrorCode"], "Message": error["Message"]}
            raise ClientError({"Error": said}, operation)
        return answer

    def _proved(self, one: Permission, message: str) -> None:
        self.denied[one] = message
        self.unproved.remove(one)

    def _lacking(self, error: ClientError) -> list[Permission]:
        """Unproven permissions for the action that a denial names, in the policy's order."""
        found = denied.denied(error.response["Error"]["Message"])
        permissions = self.reader.permissions()
        return [one for one in permissions if found and one in self.unproved and one[1] == found[0]]


@pytest.fixture(scope="module")
def proof(reader, client, aws, settings, tmp_path_factory) -> Proof:
    """The result of everything that the tutorial does in AWS, from the network to the clean-up."""
    proof, send = Proof(reader), BaseClient._make_api_call
    ours = reader.keys["AccessKeyId"]

    def checked(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if self._request_signer._credentials.access_key != ours:
            return send(self, operation, parameters)
        return proof.call(send, self, operation, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", checked)
        _make(patch, client, aws, tmp_path_factory.mktemp("source"))
        cleanup.everything()
        assert cleanup.listing() == []
    reader.grant()
    return proof


def _make(patch: pytest.MonkeyPatch, client: Any, aws: Aws, source: Any) -> None:
    for check in preflight.CHECKS:
        list(check())
    for quota in preflight.QUOTAS:  # the lab knows only some quotas, and usage of the others is not counted
        quota.used()
    place = network.ensure()
    function.ensure()
    acm.ensure()
    load_balancer.ensure()
    load_balancer.listeners(), load_balancer.target_health()
    url, seen = f"http://{load_balancer.addresses()[0]}/", "%{local_ip}:%{local_port}"
    curl = aws.vpcs[place.vpc_id].namespace.run("curl", "-s", "-o", "/dev/null", "-w", seen, url)
    assert alb_log.entry(curl.stdout)["elb_status_code"] == "200"
    dns.ensure()
    eks.ensure()
    function.invoke()
    function.log_lines("START")
    function.set_handler("faults.throw")
    function.throttle(True)
    function.throttle(False)
    _again(patch, client, source)
    _as_kubernetes_does(client, place)


def _again(patch: pytest.MonkeyPatch, client: Any, source: Any) -> None:
    """What is only done if something has changed since the last run."""
    (source / "hello_world.py").write_text("def lambda_handler(event, context): return {}\n")
    patch.setattr(function, "SOURCE", source)
    function.ensure()
    pki.ensure().alb_cert.unlink()
    acm.ensure()
    with override(TUTORIAL_CERTIFICATE="acm"):
        acm.ensure()
    with override(TUTORIAL_ROUTE53_ZONE="private"):
        dns.ensure(), dns.find()
    client("eks").update_cluster_config(name=NAME, resourcesVpcConfig={"publicAccessCidrs": ["192.0.2.1/32"]})
    eks.ensure()
    balancer, elb = load_balancer.get(), client("elbv2")
    function.allow_load_balancer(balancer.target_group_arn.replace("targetgroup/", "targetgroup/former-"))
    function.allow_load_balancer(balancer.target_group_arn)
    other = elb.create_target_group(Name="another", TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    listener = elb.describe_listeners(LoadBalancerArn=balancer.arn)["Listeners"][0]["ListenerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": other}]
    elb.modify_listener(ListenerArn=listener, DefaultActions=forward)
    [default] = client("ec2").describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [network.get().vpc_id]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    elb.set_security_groups(LoadBalancerArn=balancer.arn, SecurityGroups=[default["GroupId"]])
    elb.set_subnets(LoadBalancerArn=balancer.arn, Subnets=network.get().private[:2])
    load_balancer.ensure()
    elb.delete_target_group(TargetGroupArn=other)


def _as_kubernetes_does(client: Any, place: network.Network) -> None:
    """What controllers in a cluster create in its account, with their tags."""
    owned = [{"Key": f"kubernetes.io/cluster/{NAME}", "Value": "owned"}]
    node = [{"Key": "cluster.k8s.amazonaws.com/name", "Value": NAME}]
    ec2 = client("ec2")
    group = ec2.create_security_group(
        GroupName="k8s-elb-a1", Description="x", VpcId=place.vpc_id,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": owned}],
    )["GroupId"]  # fmt: skip
    ec2.create_network_interface(
        SubnetId=place.private[0], TagSpecifications=[{"ResourceType": "network-interface", "Tags": node}]
    )
    ec2.create_volume(
        AvailabilityZone=f"{REGION}a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": owned}]
    )
    listener = {"Protocol": "TCP", "LoadBalancerPort": 443, "InstancePort": 30443}
    client("elb").create_load_balancer(
        LoadBalancerName="a1",
        Listeners=[listener],
        Subnets=place.public[:1],
        SecurityGroups=[group],
        Tags=owned,
    )
    [made] = client("elb").describe_load_balancers()["LoadBalancerDescriptions"]
    with pytest.raises(TimedOutError, match="no node is registered"):
        classic_load_balancer.wait_in_service(made["DNSName"], timeout=0)


STATEMENTS = json.loads((denied.ROOT / denied.FILE).read_text())["Statement"]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement["Sid"])
def test_without_the_permission_the_call_is_denied(proof, statement):
    for action in denied.actions(statement):
        assert (statement["Sid"], action) not in proof.unproved, "the permission is not needed"
        assert action in proof.denied[statement["Sid"], action]
