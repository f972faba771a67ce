"""alb.<domain> in Route 53: an alias of the load balancer.

In a public zone the name is public while its addresses are private: whoever resolves it from
outside learns where the balancer is, and cannot get there.
"""

from typing import Any

from helpers import aws, load_balancer
from helpers.aws import route53
from helpers.base.settings import current
from helpers.base.waiting import resume_after_lost_answer


@resume_after_lost_answer
def ensure() -> str:
    """Make the zone where there is none, point alb.<domain> to the balancer; the host name."""
    balancer, host = load_balancer.find(), current().alb_host
    zone_id = route53.ensure()
    there = find_record(zone_id)
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


def find_record(zone_id: str) -> dict[str, Any] | None:
    """The A record of alb.<domain> in that zone."""
    return next((record for record in route53.records(zone_id) if record["Type"] == "A"), None)


def outside() -> list[str]:
    """What curl needs besides the URL to find the balancer from outside the VPC.

    Nothing where the name is public; else the name that AWS gave to the balancer, which always is.
    """
    if current().TUTORIAL_ROUTE53_ZONE == "public":
        return []
    return ["--connect-to", f"{current().alb_host}::{load_balancer.find().dns_name}:"]
