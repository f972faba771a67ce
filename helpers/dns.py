"""alb.<domain> in Route 53: an alias of the load balancer.

In a public zone the name is public while its addresses are private: whoever resolves it from
outside learns where the balancer is, and cannot get there.
"""

from typing import Any

from helpers import aws, load_balancer, network
from helpers.aws import route53
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.waiting import resume_after_lost_answer


@resume_after_lost_answer
def ensure() -> str:
    """Make the zone where there is none, point alb.<domain> to the balancer; the host name."""
    balancer, host = load_balancer.get(), current().alb_host
    zone_id = route53.ensure(network.get().vpc_id)
    there = find()
    # Route 53 gives names back with a dot at their end.
    if there and there.get("AliasTarget", {}).get("DNSName", "").rstrip(".") == balancer.dns_name.lower():
        print(f"Record {host} exists, an alias of {balancer.dns_name}")
        return host
    target = {
        "HostedZoneId": balancer.zone_id,
        "DNSName": balancer.dns_name,
        "EvaluateTargetHealth": False,
    }
    route53.upsert(zone_id, {"Name": host, "Type": "A", "AliasTarget": target})
    aws.said(f"route53 change-resource-record-sets: {host} A alias", balancer.dns_name)
    return host


def find() -> dict[str, Any] | None:
    """The A record of alb.<domain> in the domain's zone, or None."""
    zone_id = route53.find()
    records = route53.records(zone_id) if zone_id else []
    return next((record for record in records if record["Type"] == "A"), None)


def delete() -> None:
    """Delete the tutorial's records, and the zones that it made; a zone of the reader's own stays."""
    route53.delete()


def leftovers() -> list[Resource]:
    """The tutorial's records, and the zones that it made, of whatever domain."""
    return route53.leftovers()


def outside() -> list[str]:
    """What curl needs besides the URL to find the balancer from outside the VPC.

    Nothing where the name is public; else the name that AWS gave to the balancer, which always is.
    """
    if current().TUTORIAL_ROUTE53_ZONE == "public":
        return []
    return ["--connect-to", f"{current().alb_host}::{load_balancer.get().dns_name}:"]
