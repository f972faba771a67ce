"""Whether the tutorial can run in AWS: identity, versions, quotas, permissions, names."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from helpers import aws, dns, eks, function, load_balancer, network
from helpers.aws import denied, ec2, iam, route53
from helpers.base.errors import ApiError, SettingsError
from helpers.base.settings import current
from series.preflight import here
from series.preflight.finding import Finding, note, ok, stop

_SOON = timedelta(days=30)


class Quota(NamedTuple):
    """A quota's codes in Service Quotas, the current number, and whether ours is included."""

    service: str
    code: str
    what: str
    used: Callable[[], int]
    ours: Callable[[], bool]
    needed: int = 1


QUOTAS = (
    Quota(
        "vpc", "L-F678F1CE", "VPCs in the region",
        lambda: len(aws.list_all("ec2", "describe_vpcs", "Vpcs")), lambda: bool(ec2.tagged("VPC")),
    ),
    Quota(
        "ec2", "L-0263D0A3", "elastic IPs",
        lambda: len(aws.list_all("ec2", "describe_addresses", "Addresses")),
        lambda: bool(ec2.tagged("elastic IP")),
    ),
    Quota(
        "eks", "L-1194D53C", "EKS clusters",
        lambda: len(aws.list_all("eks", "list_clusters", "clusters")), lambda: bool(eks.status()),
    ),
    # What already runs is not counted: in new accounts, the quota itself is too low.
    Quota(
        "ec2", "L-1216C47A", "vCPUs of standard instances", lambda: 0, lambda: bool(eks.status()), needed=2
    ),
)  # fmt: skip
# One creating action per service; the policy has them all.
ACTIONS = (
    "acm:ImportCertificate",
    "acm:RequestCertificate",
    "ec2:CreateNatGateway",
    "ec2:CreateSubnet",
    "ec2:CreateVpc",
    "eks:CreateCluster",
    "eks:CreateNodegroup",
    "elasticloadbalancing:CreateLoadBalancer",
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:CreateServiceLinkedRole",
    "iam:PassRole",
    "lambda:CreateFunction",
    "logs:CreateLogGroup",
    "route53:ChangeResourceRecordSets",
    "s3:CreateBucket",
)


def identity() -> Iterator[Finding]:
    """The account and the identity that is used."""
    who = aws.call("sts", "get_caller_identity")
    yield ok("AWS", f"account {who['Account']}, as {who['Arn']}, in {current().AWS_REGION}")
    if who["Arn"].endswith(":root"):
        yield note("AWS", "the root user has all permissions and cannot be restricted: use a role")
    elif ":user/" in who["Arn"]:
        yield note("AWS", "an IAM user's keys are long-lived; a role's (aws sso login) expire")


def versions() -> Iterator[Finding]:
    """Whether EKS offers the Kubernetes version that the tutorial uses, in standard support."""
    found = aws.call("eks", "describe_cluster_versions", clusterVersions=[eks.VERSION])["clusterVersions"]
    subject, change = f"EKS with Kubernetes {eks.VERSION}", "set VERSION in helpers/eks.py to a newer one"
    if not found:
        yield stop(subject, f"AWS does not offer it: {change}")
        return
    if found[0]["versionStatus"] != "STANDARD_SUPPORT":
        yield stop(subject, f"it is in {found[0]['versionStatus']}, which costs more or is refused: {change}")
        return
    end = found[0]["endOfStandardSupportDate"]
    finding = note if end - datetime.now(UTC) < _SOON else ok
    yield finding(subject, f"in standard support until {end:%Y-%m-%d}")


def quotas() -> Iterator[Finding]:
    """Whether the quotas allow one more of each; what already exists of ours needs no more."""
    for quota in QUOTAS:
        subject = f"quota, {quota.what}"
        if quota.ours():
            yield ok(subject, "ours exists")
            continue
        try:
            answer = aws.call(
                "service-quotas", "get_service_quota", ServiceCode=quota.service, QuotaCode=quota.code
            )
        except ApiError as refused:
            yield note(subject, f"not known ({refused.code}); the service will report it if it is used up")
            continue
        limit, used = int(answer["Quota"]["Value"]), quota.used()
        if used + quota.needed > limit:
            yield stop(
                subject,
                f"{used} of {limit} used, {quota.needed} needed: request an increase at {_ASK}",
            )
        else:
            yield ok(subject, f"{used} of {limit} used")


_ASK = "https://console.aws.amazon.com/servicequotas"


def permissions() -> Iterator[Finding]:
    """By EC2's dry run, which is exact, and IAM's simulation, which does not know every condition."""
    tags = [{"ResourceType": "vpc", "Tags": aws.tag_list(Name=current().TUTORIAL_NAME)}]
    try:
        aws.call("ec2", "create_vpc", CidrBlock=network.CIDR, TagSpecifications=tags, DryRun=True)
    except ApiError as refused:
        if refused.code == "DryRunOperation":
            yield ok("permissions, EC2's dry run", "a VPC can be created")
        else:
            yield stop("permissions, EC2's dry run", refused.answer)
    yield from _simulated()


def _simulated() -> Iterator[Finding]:
    subject = "permissions, IAM's simulation"
    try:
        results = aws.list_all(
            "iam",
            "simulate_principal_policy",
            "EvaluationResults",
            PolicySourceArn=_principal(),
            ActionNames=list(ACTIONS),
        )
    except ApiError as refused:
        yield note(
            subject,
            f"not possible ({refused.code}); a missing permission will show when it is needed",
        )
        return
    decisions = {result["EvalActionName"]: result["EvalDecision"] for result in results}
    missing = [(action, decision) for action, decision in decisions.items() if decision != "allowed"]
    for action, decision in missing:
        finding = stop if decision == "explicitDeny" else note
        yield finding(subject, f"{action}: {decision}")
    if not missing:
        yield ok(subject, f"{len(ACTIONS)} actions are allowed")


def _principal() -> str:
    """The principal to simulate: for a role session, the role."""
    arn = aws.call("sts", "get_caller_identity")["Arn"]
    if ":assumed-role/" not in arn:
        return arn
    return aws.call("iam", "get_role", RoleName=arn.split("/")[1])["Role"]["Arn"]


def names() -> Iterator[Finding]:
    """Resources that already have one of our names: ours, which the run reuses, or someone else's."""
    wanted, free = current().TUTORIAL_NAME, True
    for what, tags in _existing():
        free = False
        if tags.get("Project") == wanted:
            yield note("name", f"{what} exists and is ours: the run reuses it")
        else:
            yield stop("name", f"{what} exists without the tag Project={wanted}: set another TUTORIAL_NAME")
    if free:
        yield ok("names", f"nothing in AWS is called {wanted} yet")


def _existing() -> Iterator[tuple[str, dict[str, str]]]:
    name, missing = current().TUTORIAL_NAME, "ResourceNotFoundException"
    if found := aws.found(missing, service="eks", operation="describe_cluster", name=name):
        yield f"the EKS cluster {name}", found["cluster"].get("tags", {})
    if found := aws.found(missing, service="lambda", operation="get_function", FunctionName=function.name()):
        # GetFunction returns no tags to callers who are not allowed to list them.
        if hidden := found.get("TagsError"):
            code, said = hidden["ErrorCode"], hidden["Message"]
            raise ApiError(f"Reading the tags of {function.name()}", code, said, denied.advice(said))
        yield f"the function {function.name()}", found.get("Tags", {})
    if balancer := load_balancer.balancer():
        yield f"the load balancer {load_balancer.name()}", _elb_tags(balancer["LoadBalancerArn"])
    if group := load_balancer.target_group():
        yield f"the target group {function.name()}", _elb_tags(group["TargetGroupArn"])
    for purpose in iam.ROLES:
        if role := iam.find(purpose):
            yield f"the role {role['RoleName']}", _dictionary(role.get("Tags", []))


def _elb_tags(arn: str) -> dict[str, str]:
    return _dictionary(aws.call("elbv2", "describe_tags", ResourceArns=[arn])["TagDescriptions"][0]["Tags"])


def _dictionary(tags: list[dict[str, Any]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def domain() -> Iterator[Finding]:
    """The zone that alb.<domain> goes into, and who can resolve it."""
    settings, subject = current(), current().alb_host
    private = settings.TUTORIAL_ROUTE53_ZONE == "private"
    try:
        found = route53.find()
        dns.find()
    except SettingsError as wrong:
        yield stop(subject, f"{wrong.answer}: {wrong.hint}")
        return
    if found:
        yield ok(subject, f"goes into the {'private' if private else 'public'} zone {found}, which exists")
    elif private:
        yield ok(subject, "goes into a zone that only the VPC can resolve")
    else:
        yield note(
            subject,
            f"a public zone will be created; delegate {settings.TUTORIAL_DOMAIN} to it at the registrar",
        )
    if balancer := load_balancer.balancer():
        yield from here.names(balancer["DNSName"])


CHECKS = (identity, versions, quotas, permissions, names, domain)
