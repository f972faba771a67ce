"""Authorization: policies evaluated as by IAM, and denials in each service's wording."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lab.settings import ACCOUNT_ID
from tests.lab.aws.conftest import REGION

USER = f"arn:aws:iam::{ACCOUNT_ID}:user/someone"
ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/given"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def statement(action: Any, resource: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def where(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


class Someone:
    """An IAM user and the permissions granted to it."""

    def __init__(self, client: Callable[[str], Any], endpoint: str) -> None:
        self.iam, self._endpoint = client("iam"), endpoint
        self.iam.create_user(UserName="someone")
        self.key = self.iam.create_access_key(UserName="someone")["AccessKey"]
        self.client = self.client_with(self.key["AccessKeyId"], self.key["SecretAccessKey"])

    def client_with(self, *keys: str) -> Callable[[str], Any]:
        session = boto3.Session(*keys, region_name=REGION)
        return lambda service: session.client(service, endpoint_url=self._endpoint)

    def may(self, *statements: dict[str, Any]) -> None:
        self.iam.put_user_policy(UserName="someone", PolicyName="p", PolicyDocument=policy(*statements))

    def reset(self) -> None:
        for name in self.iam.list_user_policies(UserName="someone")["PolicyNames"]:
            self.iam.delete_user_policy(UserName="someone", PolicyName=name)


@pytest.fixture(scope="module")
def one(client, aws) -> Iterator[Someone]:
    someone = Someone(client, aws.endpoint_url)
    yield someone
    someone.iam.delete_access_key(UserName="someone", AccessKeyId=someone.key["AccessKeyId"])
    someone.iam.delete_user(UserName="someone")


@pytest.fixture
def someone(one) -> Iterator[Someone]:
    yield one
    one.reset()


@pytest.fixture
def given_role(client) -> Iterator[Any]:
    iam = client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT_ID}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="given", AssumeRolePolicyDocument=policy(trust))
    yield iam
    for name in iam.list_role_policies(RoleName="given")["PolicyNames"]:
        iam.delete_role_policy(RoleName="given", PolicyName=name)
    iam.delete_role(RoleName="given")


def refusal(call: Callable[..., Any], **parameters: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    answer = refused.value.response
    return (
        answer["Error"]["Code"],
        answer["Error"]["Message"],
        answer["ResponseMetadata"]["HTTPStatusCode"],
    )


VPC = {"CidrBlock": "10.9.0.0/16"}
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:f"


@pytest.mark.parametrize(
    ("service", "operation", "given", "code", "status", "action", "resource"),
    [
        ("ec2", "create_vpc", VPC, "UnauthorizedOperation", 403, "ec2:CreateVpc",
         f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:vpc/*"),
        ("ec2", "describe_vpcs", {}, "UnauthorizedOperation", 403, "ec2:DescribeVpcs", ""),
        ("lambda", "get_function", {"FunctionName": "f"}, "AccessDeniedException", 403, "lambda:GetFunction",
         FUNCTION),
        ("lambda", "invoke", {"FunctionName": FUNCTION}, "AccessDeniedException", 403,
         "lambda:InvokeFunction", FUNCTION),
        ("logs", "delete_log_group", {"logGroupName": "g"}, "AccessDeniedException", 400,
         "logs:DeleteLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:g:log-stream:"),
        ("acm", "list_certificates", {}, "AccessDeniedException", 400, "acm:ListCertificates", ""),
        ("eks", "describe_cluster", {"name": "c"}, "AccessDeniedException", 403, "eks:DescribeCluster",
         f"arn:aws:eks:{REGION}:{ACCOUNT_ID}:cluster/c"),
        ("elbv2", "create_target_group", {"Name": "g", "TargetType": "lambda"}, "AccessDenied", 403,
         "elasticloadbalancing:CreateTargetGroup",
         f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT_ID}:targetgroup/g/*"),
        ("elb", "describe_load_balancers", {}, "AccessDenied", 403,
         "elasticloadbalancing:DescribeLoadBalancers", ""),
        ("iam", "delete_role", {"RoleName": "r"}, "AccessDenied", 403, "iam:DeleteRole", "role r"),
        ("route53", "get_hosted_zone", {"Id": "Z1"}, "AccessDenied", 403, "route53:GetHostedZone",
         "arn:aws:route53:::hostedzone/Z1"),
        ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "xx"}, "AccessDenied", 403,
         "sts:AssumeRole", ROLE),
        ("resourcegroupstaggingapi", "get_resources", {}, "AccessDeniedException", 400,
         "tag:GetResources", ""),
    ],
)  # fmt: skip
def test_without_a_policy_nothing_is_allowed(
    someone, service, operation, given, code, status, action, resource
):
    said = refusal(getattr(someone.client(service), operation), **given)
    on = f" on resource: {resource}" if resource else ""
    why = f"because no identity-based policy allows the {action} action"
    assert (said[0], said[2]) == (code, status)
    assert said[1].endswith(f"User: {USER} is not authorized to perform: {action}{on} {why}")


def test_anyone_can_call_get_caller_identity(someone):
    assert someone.client("sts").get_caller_identity()["Arn"] == USER


def test_a_function_shows_its_tags_only_to_callers_who_can_list_them(someone, client, function):
    client("lambda").tag_resource(Resource=function, Tags={"Project": "x"})
    ask = someone.client("lambda").get_function
    someone.may(statement("lambda:GetFunction"))
    withheld = ask(FunctionName="hello")
    assert "Tags" not in withheld
    assert withheld["TagsError"]["ErrorCode"] == "AccessDeniedException"
    assert "not authorized to perform: lambda:ListTags on resource: " in withheld["TagsError"]["Message"]
    someone.may(statement(["lambda:GetFunction", "lambda:ListTags"]))
    shown = ask(FunctionName="hello")
    assert (shown["Tags"], "TagsError" in shown) == ({"Project": "x"}, False)


OTHER = f"arn:aws:iam::{ACCOUNT_ID}:role/other"


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([statement("iam:GetRole", ROLE)], True),
        ([statement("IAM:getrole", ROLE)], True),  # actions are not case-sensitive
        ([statement("iam:GetRole", ROLE.replace("given", "GIVEN"))], False),  # resources are
        ([statement("iam:Get*", ROLE.replace("given", "g?v*"))], True),
        ([statement(["iam:ListRoles", "iam:GetRole"], [OTHER, ROLE])], True),
        ([statement("iam:GetRole", OTHER)], False),
        ([statement("iam:ListRoles")], False),
        ([statement("*"), statement("iam:GetRole", ROLE, "Deny")], False),
        ([statement("*"), statement("iam:GetRole", OTHER, "Deny")], True),
        ([{"Effect": "Allow", "NotAction": "ec2:*", "Resource": "*"}], True),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], False),
        ([{"Effect": "Allow", "Action": "iam:*", "NotResource": OTHER}], True),
        ([{"Effect": "Allow", "Action": "iam:*", "NotResource": ROLE}], False),
        ([statement("iam:GetRole", **where("StringEquals", "aws:username", "someone"))], True),
        ([statement("iam:GetRole", **where("StringEquals", "AWS:UserName", "another"))], False),
        ([statement("iam:GetRole", **where("StringNotEquals", "aws:username", "another"))], True),
        ([statement("iam:GetRole", **where("StringLike", "aws:username", ["x*", "some*"]))], True),
        ([statement("iam:GetRole", **where("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/*"))], True),
        ([statement("iam:GetRole", **where("StringEquals", "aws:RequestTag/x", "y"))], False),
        ([statement("iam:GetRole", **where("StringEqualsIfExists", "aws:RequestTag/x", "y"))], True),
        ([statement("iam:GetRole", **where("Null", "aws:RequestTag/x", "true"))], True),
        ([statement("iam:GetRole", **where("Null", "aws:username", True))], False),
        ([statement("iam:GetRole", **where("IpAddress", "aws:SourceIp", "0.0.0.0/0"))], False),
        ([statement("iam:GetRole", f"arn:aws:iam::{ACCOUNT_ID}:role/${{aws:username}}")], False),
        ([statement("iam:GetRole", **where("StringEquals", "aws:username", "${aws:username}"))], True),
    ],
)  # fmt: skip
def test_policies_are_evaluated_as_by_iam(someone, given_role, statements, allowed):
    someone.may(*statements)
    get = someone.client("iam").get_role
    if allowed:
        assert get(RoleName="given")["Role"]["Arn"] == ROLE
    else:
        assert refusal(get, RoleName="given")[0] == "AccessDenied"


def test_an_explicit_deny_is_reported(someone):
    someone.may(statement("*"), statement("iam:ListRoles", effect="Deny"))
    said = refusal(someone.client("iam").list_roles)[1]
    assert said.endswith("iam:ListRoles with an explicit deny in an identity-based policy")


def test_conditions_on_tags_restrict_creation_and_deletion(client, someone):
    ec2, tagged = someone.client("ec2"), {"Key": "Project", "Value": "mine"}
    theirs = client("ec2").create_vpc(**VPC)["Vpc"]["VpcId"]
    someone.may(
        statement(
            ["ec2:CreateVpc", "ec2:CreateTags"], **where("StringEquals", "aws:RequestTag/Project", "mine")
        ),
        statement("ec2:DeleteVpc", **where("StringEquals", "aws:ResourceTag/Project", "mine")),
    )
    assert "ec2:CreateVpc on" in refusal(ec2.create_vpc, **VPC)[1]
    ours = ec2.create_vpc(**VPC, TagSpecifications=[{"ResourceType": "vpc", "Tags": [tagged]}])["Vpc"][
        "VpcId"
    ]
    assert refusal(ec2.delete_vpc, VpcId=theirs)[0] == "UnauthorizedOperation"
    ec2.delete_vpc(VpcId=ours)
    client("ec2").delete_vpc(VpcId=theirs)


def test_a_dry_run_reports_whether_the_call_is_allowed(someone):
    ec2 = someone.client("ec2")
    assert refusal(ec2.create_vpc, **VPC, DryRun=True)[0] == "UnauthorizedOperation"
    someone.may(statement("ec2:CreateVpc"))
    assert refusal(ec2.create_vpc, **VPC, DryRun=True)[0] == "DryRunOperation"


def test_a_role_can_be_passed_only_to_the_intended_service(someone, role, zip_of):
    arn = role("lambda.amazonaws.com")
    create = someone.client("lambda").create_function
    given = {"FunctionName": "passed", "Runtime": "python3.13", "Handler": "app.handler", "Role": arn}

    def pass_to(service: str) -> dict[str, Any]:
        return statement("iam:PassRole", arn, **where("StringEquals", "iam:PassedToService", service))

    someone.may(statement("lambda:*"), pass_to("ec2.amazonaws.com"))
    assert f"iam:PassRole on resource: {arn}" in refusal(create, **given, Code={"ZipFile": zip_of("")})[1]
    someone.may(statement("lambda:*"), pass_to("lambda.amazonaws.com"))
    create(**given, Code={"ZipFile": zip_of("handler = print")})
    someone.client("lambda").get_waiter("function_active_v2").wait(
        FunctionName="passed", WaiterConfig={"Delay": 1}
    )
    someone.client("lambda").delete_function(FunctionName="passed")


def test_only_listed_policies_can_be_attached(someone, given_role):
    lambdas = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    someone.may(statement("iam:*RolePolicy", ROLE, **where("ArnEquals", "iam:PolicyARN", lambdas)))
    iam = someone.client("iam")
    iam.attach_role_policy(RoleName="given", PolicyArn=lambdas)
    iam.detach_role_policy(RoleName="given", PolicyArn=lambdas)
    assert refusal(iam.attach_role_policy, RoleName="given", PolicyArn=ADMINISTRATOR)[0] == "AccessDenied"


def changes(action: str, *names: str) -> dict[str, Any]:
    rest = {"Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    return {"Changes": [{"Action": action, "ResourceRecordSet": {"Name": name, **rest}} for name in names]}


def test_a_condition_restricts_changes_to_one_record(client, someone):
    route53, ours, www = client("route53"), "ALB.iam.example.com", "www.iam.example.com"
    zone = route53.create_hosted_zone(Name="iam.example.com", CallerReference="iam")["HostedZone"]["Id"]
    names = "route53:ChangeResourceRecordSetsNormalizedRecordNames"
    one = where("ForAllValues:StringEquals", names, "alb.iam.example.com")
    arn = f"arn:aws:route53:::{zone.lstrip('/')}"
    someone.may(statement("route53:ChangeResourceRecordSets", arn, **one))
    change = someone.client("route53").change_resource_record_sets
    change(HostedZoneId=zone, ChangeBatch=changes("CREATE", ours))
    said = refusal(change, HostedZoneId=zone, ChangeBatch=changes("UPSERT", ours, www))
    assert said[0] == "AccessDenied"
    change(HostedZoneId=zone, ChangeBatch=changes("DELETE", ours))
    route53.delete_hosted_zone(Id=zone)


def test_groups_and_managed_policies_are_evaluated(client, someone):
    iam = client("iam")
    iam.create_group(GroupName="readers")
    iam.attach_group_policy(GroupName="readers", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    iam.add_user_to_group(GroupName="readers", UserName="someone")
    assert "Roles" in someone.client("iam").list_roles()
    iam.remove_user_from_group(GroupName="readers", UserName="someone")
    assert refusal(someone.client("iam").list_roles)[0] == "AccessDenied"
    iam.detach_group_policy(GroupName="readers", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    iam.delete_group(GroupName="readers")


def test_a_role_session_has_the_roles_policies_within_its_boundaries(someone, given_role):
    given_role.put_role_policy(RoleName="given", PolicyName="p", PolicyDocument=policy(statement("iam:*")))
    someone.may(statement("sts:AssumeRole", ROLE))

    def roles(**more: str) -> Callable[..., Any]:
        sts = someone.client("sts")
        keys = sts.assume_role(RoleArn=ROLE, RoleSessionName="session", **more)["Credentials"]
        return someone.client_with(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])(
            "iam"
        ).list_roles

    assert "Roles" in roles()()
    said = refusal(roles(Policy=policy(statement("ec2:*"))))[1]
    assert f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/given/session is not" in said
    assert said.endswith("because no session policy allows the iam:ListRoles action")
    bound = "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
    given_role.put_role_permissions_boundary(RoleName="given", PermissionsBoundary=bound)
    assert "because no permissions boundary allows" in refusal(roles())[1]
    given_role.delete_role_permissions_boundary(RoleName="given")


def test_simulation_decides_like_real_calls(someone):
    someone.may(
        statement(["s3:Get*", "ec2:*"]),
        statement("s3:GetObject", "arn:aws:s3:::secret/*", "Deny"),
        statement("iam:GetRole", **where("StringEquals", "aws:RequestedRegion", REGION)),
    )

    def decision(action: str, resource: str = "*") -> str:
        asked = {"PolicySourceArn": USER, "ActionNames": [action], "ResourceArns": [resource]}
        return someone.iam.simulate_principal_policy(**asked)["EvaluationResults"][0]["EvalDecision"]

    assert decision("s3:GetObject", "arn:aws:s3:::open/a") == decision("ec2:runinstances") == "allowed"
    assert decision("s3:GetObject", "arn:aws:s3:::secret/a") == "explicitDeny"
    # A condition is not met if the simulation was not given its key.
    assert decision("s3:PutObject") == decision("iam:GetRole") == "implicitDeny"
    with pytest.raises(ClientError, match="NoSuchEntity"):
        someone.iam.simulate_principal_policy(
            PolicySourceArn=ROLE + "-none", ActionNames=["ec2:RunInstances"]
        )
