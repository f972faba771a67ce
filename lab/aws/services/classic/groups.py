"""The security group of a Service's load balancer, and the rule by which the nodes admit its traffic.

https://github.com/kubernetes/cloud-provider-aws/blob/master/pkg/providers/v1/aws.go
"""

from lab.aws.services.ec2.lookups import security_groups
from lab.aws.services.ec2.networks import Networks
from lab.cluster.service_controller import Service

Rule = tuple[str | None, int | None, int | None, str]  # protocol, ports or ICMP's type and code, source
_FRAGMENTATION_NEEDED = ("icmp", 3, 4)
_SOURCES = "service.beta.kubernetes.io/load-balancer-source-ranges"


def ensure(networks: Networks, balancer: str, title: str, vpc_id: str, tags: dict[str, str]) -> str:
    """The id of the load balancer's group; `title` is the Service's, with its namespace."""
    name = _name(balancer)
    group = networks.get_security_group_from_name(name, vpc_id) or networks.create_security_group(
        name, f"Security group for Kubernetes ELB {balancer} ({title})", vpc_id=vpc_id, tags=tags
    )
    return group.id


def set_rules(networks: Networks, group_id: str, service: Service) -> None:
    """Allow exactly the Service's source ranges on its ports."""
    group = networks.get_security_group_from_id(group_id)
    assert group is not None
    ports = [("tcp", port.port, port.port) for port in service.spec.ports] + [_FRAGMENTATION_NEEDED]
    wanted: set[Rule] = {(*port, source) for port in ports for source in _sources(service)}
    there: dict[Rule, str] = {
        (rule.ip_protocol, rule.from_port, rule.to_port, rule.ip_range.get("CidrIp", "")): rule.id
        for rule in group.ingress_rules
    }
    if surplus := [there[rule] for rule in there.keys() - wanted]:
        networks.revoke_security_group_ingress(group_id, "tcp", "", "", [], security_rule_ids=surplus)
    for protocol, first, last, source in wanted - there.keys():
        networks.authorize_security_group_ingress(
            group_id, str(protocol), str(first), str(last), [{"CidrIp": source}]
        )


def allow_into_nodes(networks: Networks, group_id: str, nodes_group_id: str) -> None:
    """Allow all traffic from the load balancer; idempotent."""
    nodes = networks.get_security_group_from_id(nodes_group_id)
    if nodes and not any(rule.source_group.get("GroupId") == group_id for rule in nodes.ingress_rules):
        source = [{"GroupId": group_id}]
        networks.authorize_security_group_ingress(nodes_group_id, "-1", "", "", [], source_groups=source)


def delete(networks: Networks, balancer: str, vpc_id: str) -> None:
    """Delete the load balancer's group and the rules that name it, if they exist."""
    group = networks.get_security_group_from_name(_name(balancer), vpc_id)
    if group is None:
        return
    for other in security_groups(networks, vpc_id):
        named = [rule.id for rule in other.ingress_rules if rule.source_group.get("GroupId") == group.id]
        if named:
            networks.revoke_security_group_ingress(other.id, "-1", "", "", [], security_rule_ids=named)
    networks.delete_security_group(group_id=group.id)


def _sources(service: Service) -> list[str]:
    annotation = (service.metadata.annotations or {}).get(_SOURCES, "")
    given = service.spec.load_balancer_source_ranges or annotation.split(",")
    return [source.strip() for source in given if source.strip()] or ["0.0.0.0/0"]


def _name(balancer: str) -> str:
    return f"k8s-elb-{balancer}"
