"""Which permissions a call needs, from the Service Authorization Reference.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html

Services that the lab implements have their resources and condition keys here. A call of any other service
needs its action on "*".
"""

from collections.abc import Callable

from lab.aws.api.authorization import buckets, ec2, elb, roles
from lab.aws.api.authorization.policy import Need
from lab.aws.api.authorization.resources import arn, request_tags, resource_tags, role
from lab.aws.api.call import Call

_PREFIXES = {"tagging": "tag", "monitoring": "cloudwatch"}  # if IAM's prefix is not the signature's
_FREE = {"sts:GetCallerIdentity", "sts:GetSessionToken", "sts:GetAccessKeyInfo"}


def needs(call: Call) -> list[Need]:
    """All of them must be allowed; none for calls that are always allowed."""
    if call.action in _FREE:
        return []
    service, _, action = call.action.partition(":")
    found = _SERVICES[call.service](call) if call.service in _SERVICES else []
    return found or [Need(f"{_PREFIXES.get(service, service)}:{action}")]


def _acm(call: Call) -> list[Need]:
    keys = request_tags(call.parameters.get("Tags"))
    resource = call.parameters.get("CertificateArn")
    if call.operation in ("ImportCertificate", "RequestCertificate"):
        fresh = arn(call, "acm", "certificate/*")
        imported = resource or fresh
        create = imported if call.operation == "ImportCertificate" else "*"
        if domain := call.parameters.get("DomainName"):
            others = call.parameters.get("SubjectAlternativeNames", [])
            keys = {**keys, "acm:domainnames": [domain, *others]}
        found = [Need(call.action, create, {**resource_tags(call, imported), **keys})]
        return [*found, Need("acm:AddTagsToCertificate", imported, keys)] if keys else found
    return [Need(call.action, resource, {**resource_tags(call, resource), **keys})] if resource else []


def _eks(call: Call) -> list[Need]:
    given, keys = call.parameters, request_tags(call.parameters.get("tags"))
    if call.operation == "CreateCluster":
        found = [Need(call.action, "*", keys), roles.passed(given.get("roleArn", ""), "eks")]
        found += _slr("eks", "AWSServiceRoleForAmazonEKS")
        return found + _tagged(call, "eks:TagResource", arn(call, "eks", f"cluster/{given.get('name')}"))
    if resource := given.get("resourceArn"):
        return [Need(call.action, resource, {**resource_tags(call, resource), **keys})]
    cluster, group = given.get("clusterName") or given.get("name"), given.get("nodegroupName")
    if not cluster:
        return []
    resource = arn(call, "eks", f"cluster/{cluster}")
    if call.operation == "CreateNodegroup":
        return _eks_nodegroup(call, resource, arn(call, "eks", f"nodegroup/{cluster}/{group}/*"))
    if group:
        resource = arn(call, "eks", f"nodegroup/{cluster}/{group}/*")
    return [Need(call.action, resource, resource_tags(call, resource))]


def _eks_nodegroup(call: Call, cluster: str, group: str) -> list[Need]:
    """EKS checks subnets and roles with the caller's permissions.

    Seen in https://github.com/aws-controllers-k8s/community/issues/2164 and
    https://github.com/terraform-aws-modules/terraform-aws-eks/issues/823
    """
    node_role = call.parameters.get("nodeRole", "")
    keys = request_tags(call.parameters.get("tags"))
    return [
        Need(call.action, cluster, {**resource_tags(call, cluster), **keys}),
        *_tagged(call, "eks:TagResource", group),
        roles.passed(node_role, "eks"),
        Need("iam:GetRole", node_role),
        Need("iam:ListAttachedRolePolicies", node_role),
        Need("ec2:DescribeSubnets"),
        *_slr("eks-nodegroup", "AWSServiceRoleForAmazonEKSNodegroup"),
    ]


def _slr(service: str, name: str) -> list[Need]:
    return [roles.service_linked(service, name, "iam:GetRole"), roles.service_linked(service, name)]


def _lambda(call: Call) -> list[Need]:
    given, keys = call.parameters, request_tags(call.parameters.get("Tags"))
    action = "lambda:InvokeFunction" if call.operation.startswith("Invoke") else call.action
    name = given.get("FunctionName") or given.get("Resource")
    if not name:
        return []
    resource = name if name.startswith("arn:") else arn(call, "lambda", f"function:{name.split(':')[-1]}")
    keys |= {"lambda:principal": [given["Principal"]]} if "Principal" in given else {}
    found = [Need(action, resource, {**resource_tags(call, resource), **keys})]
    if call.operation == "CreateFunction":
        found.append(roles.passed(given.get("Role", ""), "lambda"))
        found += _tagged(call, "lambda:TagResource", resource)
    return found


def _logs(call: Call) -> list[Need]:
    given = call.parameters
    if resource := given.get("resourceArn"):
        return [Need(call.action, resource, request_tags(given.get("tags")))]
    name = given.get("logGroupName")
    if not name:
        return []
    group = arn(call, "logs", f"log-group:{name}")
    found = [Need(call.action, f"{group}:log-stream:", request_tags(given.get("tags")))]
    return found + (_tagged(call, "logs:TagResource", group) if call.operation == "CreateLogGroup" else [])


def _tagged(call: Call, action: str, resource: str) -> list[Need]:
    """The additional permissions for tags on creation."""
    tags = call.parameters.get("tags") or call.parameters.get("Tags")
    return [Need(action, resource, request_tags(tags))] if tags else []


def _route53(call: Call) -> list[Need]:
    given, keys = call.parameters, {}
    if call.operation == "GetChange":
        return [Need(call.action, arn(call, "route53", f"change/{_last(given.get('Id'))}"))]
    if call.operation == "ChangeResourceRecordSets":
        keys = _record_keys(given.get("ChangeBatch", {}).get("Changes", []))
    if "ResourceId" in given:
        return [Need(call.action, arn(call, "route53", f"{given.get('ResourceType')}/{given['ResourceId']}"))]
    if call.operation == "CreateHostedZone" and "VPC" in given:
        return [Need(call.action), Need("ec2:DescribeVpcs")]
    zone = given.get("HostedZoneId") or given.get("Id")
    if not zone or call.operation.startswith("ListHostedZones"):
        return []
    return [Need(call.action, arn(call, "route53", f"hostedzone/{_last(zone)}"), keys)]


def _record_keys(changes: list[dict]) -> dict[str, list[str]]:
    """https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-rrset-conditions.html"""
    sets = [change.get("ResourceRecordSet", {}) for change in changes]
    prefix = "route53:changeresourcerecordsets"
    return {
        f"{prefix}normalizedrecordnames": [str(one.get("Name", "")).lower().rstrip(".") for one in sets],
        f"{prefix}recordtypes": [str(one.get("Type", "")) for one in sets],
        f"{prefix}actions": [str(change.get("Action", "")) for change in changes],
    }


def _last(id_: str | None) -> str:
    return (id_ or "").rpartition("/")[2]


def _quotas(call: Call) -> list[Need]:
    service, code = call.parameters.get("ServiceCode"), call.parameters.get("QuotaCode")
    return [Need(call.action, arn(call, "servicequotas", f"{service}/{code}"))] if service and code else []


def _sts(call: Call) -> list[Need]:
    wanted = call.parameters.get("RoleArn")
    return [Need(call.action, role(wanted.rpartition("/")[2]))] if wanted else []


_SERVICES: dict[str, Callable[[Call], list[Need]]] = {
    "acm": _acm,
    "ec2": ec2.needs,
    "eks": _eks,
    "elb": elb.classic_needs,
    "elbv2": elb.needs,
    "iam": roles.needs,
    "lambda": _lambda,
    "logs": _logs,
    "route53": _route53,
    "s3": buckets.needs,
    "service-quotas": _quotas,
    "sts": _sts,
}
