"""The internal application load balancer in front of the function."""

from dataclasses import dataclass
from typing import Any

from helpers import acm, aws, function, network, show
from helpers.aws import alb_log, deletion, ec2
from helpers.base import contents, folding
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.waiting import resume_after_lost_answer, wait_until

# Invalid headers must not reach a target that may parse them differently.
ATTRIBUTES = {"routing.http.drop_invalid_header_fields.enabled": "true"}
TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
_LIMIT = 600  # seconds; AWS takes two to three minutes


@dataclass
class LoadBalancer:
    """The load balancer and its target group."""

    arn: str
    name: str
    dns_name: str
    zone_id: str
    target_group_arn: str

    def _ipython_display_(self) -> None: ...


def name() -> str:
    """The load balancer's name; AWS refuses names that start with "internal-"."""
    return f"{current().TUTORIAL_NAME}-alb"


def get() -> LoadBalancer:
    """The load balancer; raises PrerequisiteError if it or its target group is missing."""
    return contents.require(find(), "alb", f"no load balancer {name()}")


def find() -> LoadBalancer | None:
    """The load balancer, found by its name, or None if it or its target group is missing."""
    found, group = balancer(), target_group()
    if found is None or group is None:
        return None
    return LoadBalancer(
        found["LoadBalancerArn"],
        found["LoadBalancerName"],
        found["DNSName"],
        found["CanonicalHostedZoneId"],
        group["TargetGroupArn"],
    )


@folding.step()
@resume_after_lost_answer
def ensure() -> LoadBalancer:
    """Create what is missing: security group, target group with the function, balancer, log, listeners."""
    place = network.get()
    security_group = _ensure_security_group(place.vpc_id)
    group = _ensure_target_group()
    _ensure_target(group, function.get().arn)
    arn = _ensure_balancer(place.private, security_group)
    alb_log.ensure(arn)
    _ensure_listener(arn, group, 80, Protocol="HTTP")
    secure = {"Certificates": [{"CertificateArn": acm.get()}], "SslPolicy": TLS_POLICY}
    _ensure_listener(arn, group, 443, Protocol="HTTPS", **secure)
    return get()


def delete() -> None:
    """Delete the load balancer, its target group, its bucket and its security group."""
    if found := balancer():
        arn = found["LoadBalancerArn"]
        deletion.delete("elbv2", "delete_load_balancer", LoadBalancerArn=arn)
        wait_until(f"load balancer {name()} to be deleted", balancer, lambda left: not left, timeout=_LIMIT)
        aws.waited("elbv2", "load_balancers_deleted", LoadBalancerArns=[arn])
    if group := target_group():
        deletion.delete("elbv2", "delete_target_group", TargetGroupArn=group["TargetGroupArn"])
    alb_log.delete()
    for group in ec2.tagged("security group", Name=name()):
        ec2.wait_unused(group["GroupId"])
        ec2.delete("security group", group["GroupId"])


def leftovers() -> list[Resource]:
    """The load balancer, its target group and the bucket of its log, if they exist."""
    found = [Resource("AWS", "load balancer", name())] if balancer() else []
    if target_group():
        found.append(Resource("AWS", "target group", function.name()))
    groups = ec2.tagged("security group", Name=name())
    ids = [Resource("AWS", "security group", each["GroupId"]) for each in groups]
    return found + alb_log.leftovers() + ids


def listeners() -> show.Table:
    """Both listeners: port, protocol, TLS policy and target group."""
    rows = [
        {
            "port": listener["Port"],
            "protocol": listener["Protocol"],
            "TLS policy": listener.get("SslPolicy") if listener["Protocol"] == "HTTPS" else "",
            "forwards to": _target_of(listener).partition("targetgroup/")[2].split("/")[0],
        }
        for listener in sorted(listeners_of(get().arn), key=lambda listener: listener["Port"])
    ]
    return show.table(rows)


def addresses(arn: str = "") -> list[str]:
    """Its private addresses, one in each subnet: those of its network interfaces.

    `arn` is the load balancer's, if already known.
    """
    description = "ELB " + (arn or get().arn).partition("loadbalancer/")[2]
    interfaces = ec2.found("network interface", description=description)
    return sorted(interface["PrivateIpAddress"] for interface in interfaces)


def set_subnets(subnets: list[str]) -> None:
    """Keep an address only in these subnets, which must be in at least two zones."""
    aws.change("elbv2", "set_subnets", LoadBalancerArn=get().arn, Subnets=subnets)


def target_health(target_group_arn: str = "") -> tuple[str, str]:
    """State ("healthy", "unhealthy", "initial", …) and reason of the function as a target.

    `target_group_arn` is the target group's, if already known.
    """
    arn = target_group_arn or get().target_group_arn
    descriptions = aws.call("elbv2", "describe_target_health", TargetGroupArn=arn)["TargetHealthDescriptions"]
    if not descriptions:
        return "unused", "no target is registered"
    health = descriptions[0]["TargetHealth"]
    return health["State"], health.get("Description") or health.get("Reason", "")


def wait_healthy(timeout: float = 300) -> str:
    """Wait until a health check has passed; raises TimedOutError with the last reason."""
    group = get().target_group_arn
    state, _ = wait_until(
        "a successful health check",
        lambda: target_health(group),
        lambda health: health[0] == "healthy",
        timeout=timeout,
        state=lambda health: ": ".join(filter(None, health)),
        hint="the function's log says why it fails: aws logs tail " + function.log_group(),
    )
    aws.waited("elbv2", "target_in_service", TargetGroupArn=group)
    return state


def _ensure_security_group(vpc_id: str) -> str:
    groups = ec2.found("security group", **{"vpc-id": vpc_id, "group-name": name()})
    if groups:
        id_, open_ = groups[0]["GroupId"], _ports_open_to_the_vpc(groups[0])
        print(f"Security group {id_} exists")
    else:
        id_ = aws.change(
            "ec2",
            "create_security_group",
            show="GroupId",
            GroupName=name(),
            Description="HTTP and HTTPS from inside the VPC",
            VpcId=vpc_id,
            TagSpecifications=ec2.tags("security-group", "-alb"),
        )["GroupId"]
        open_ = set()
    ranges = [{"CidrIp": network.CIDR, "Description": "the VPC"}]
    for port in sorted({80, 443} - open_):
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}
        aws.change("ec2", "authorize_security_group_ingress", GroupId=id_, IpPermissions=[rule])
    return id_


def _ports_open_to_the_vpc(group: dict[str, Any]) -> set[int]:
    rules = [rule for rule in group["IpPermissions"] if rule["IpProtocol"] == "tcp"]
    return {
        rule["FromPort"] for rule in rules if any(one["CidrIp"] == network.CIDR for one in rule["IpRanges"])
    }


def _ensure_target_group() -> str:
    group = target_group()
    if group:
        print(f"Target group {function.name()} exists")
        return group["TargetGroupArn"]
    # Off by default for functions; without them a target never becomes healthy.
    checks: dict[str, Any] = {
        "HealthCheckEnabled": True,
        "HealthCheckPath": "/",
        "Matcher": {"HttpCode": "200"},
    }
    times: dict[str, Any] = {
        "HealthCheckIntervalSeconds": 10,
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 2,
    }
    made = aws.change(
        "elbv2",
        "create_target_group",
        show="TargetGroups[0].TargetGroupArn",
        Name=function.name(),
        TargetType="lambda",
        Tags=aws.tag_list(),
        **checks,
        **times,
    )
    return made["TargetGroups"][0]["TargetGroupArn"]


def _ensure_target(group: str, function_arn: str) -> None:
    function.allow_load_balancer(group)
    health = aws.call("elbv2", "describe_target_health", TargetGroupArn=group)["TargetHealthDescriptions"]
    if any(target["Target"]["Id"] == function_arn for target in health):
        return
    aws.change("elbv2", "register_targets", TargetGroupArn=group, Targets=[{"Id": function_arn}])


def _ensure_balancer(subnets: list[str], security_group: str) -> str:
    found = balancer()
    if found:
        print(f"Load balancer {name()} exists")
    else:
        found = aws.change(
            "elbv2",
            "create_load_balancer",
            show="LoadBalancers[0].[LoadBalancerArn,DNSName,CanonicalHostedZoneId]",
            Name=name(),
            Scheme="internal",
            Type="application",
            Subnets=subnets,
            SecurityGroups=[security_group],
            Tags=aws.tag_list(),
        )["LoadBalancers"][0]
    arn = found["LoadBalancerArn"]
    _ensure_settings(found, subnets, security_group)
    wait_until(
        f"load balancer {name()}",
        lambda: (balancer() or {"State": {"Code": "gone"}})["State"]["Code"],
        lambda state: state == "active",
        timeout=_LIMIT,
    )
    if found["State"]["Code"] != "active":
        aws.waited("elbv2", "load_balancer_available", LoadBalancerArns=[arn])
    return arn


def _ensure_settings(found: dict[str, Any], subnets: list[str], security_group: str) -> None:
    """What a balancer is created with, and its attributes: someone may have changed them since."""
    arn = found["LoadBalancerArn"]
    if found.get("SecurityGroups") != [security_group]:
        aws.change("elbv2", "set_security_groups", LoadBalancerArn=arn, SecurityGroups=[security_group])
    if {zone["SubnetId"] for zone in found["AvailabilityZones"]} != set(subnets):
        aws.change("elbv2", "set_subnets", LoadBalancerArn=arn, Subnets=subnets)
    wanted = [{"Key": key, "Value": value} for key, value in ATTRIBUTES.items()]
    shown = aws.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=arn)["Attributes"]
    if not all(attribute in shown for attribute in wanted):
        aws.change("elbv2", "modify_load_balancer_attributes", LoadBalancerArn=arn, Attributes=wanted)


def _ensure_listener(arn: str, group: str, port: int, **parameters: Any) -> None:
    there = next((listener for listener in listeners_of(arn) if listener["Port"] == port), None)
    wanted = parameters.get("Certificates", [{}])[0].get("CertificateArn", "")
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    if there is None:
        aws.change(
            "elbv2",
            "create_listener",
            show="Listeners[0].ListenerArn",
            LoadBalancerArn=arn,
            Port=port,
            DefaultActions=forward,
            Tags=aws.tag_list(),
            **parameters,
        )
    elif not (
        _target_of(there) == group
        and _certificate_of(there) == wanted
        and there["Protocol"] == parameters["Protocol"]
        and parameters.get("SslPolicy") in (None, there.get("SslPolicy"))
    ):
        listener = there["ListenerArn"]
        aws.change("elbv2", "modify_listener", ListenerArn=listener, DefaultActions=forward, **parameters)
    else:
        print(f"Listener {parameters['Protocol']} {port} exists")


def _certificate_of(listener: dict[str, Any]) -> str:
    return next((held["CertificateArn"] for held in listener.get("Certificates", [])), "")


def _target_of(listener: dict[str, Any]) -> str:
    return listener["DefaultActions"][0].get("TargetGroupArn", "")


def listeners_of(arn: str) -> list[dict[str, Any]]:
    """The load balancer's listeners as AWS describes them."""
    return aws.list_all("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)


def balancer() -> dict[str, Any] | None:
    """The load balancer as AWS describes it, or None."""
    found = aws.found(
        "LoadBalancerNotFound", service="elbv2", operation="describe_load_balancers", Names=[name()]
    )
    return found["LoadBalancers"][0] if found and found["LoadBalancers"] else None


def target_group() -> dict[str, Any] | None:
    """The target group as AWS describes it, or None."""
    found = aws.found(
        "TargetGroupNotFound", service="elbv2", operation="describe_target_groups", Names=[function.name()]
    )
    return found["TargetGroups"][0] if found and found["TargetGroups"] else None
