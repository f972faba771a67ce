"""Route 53: the public zone of the domain, and alb.<domain> as an alias of the load balancer.

The name is public while its addresses are private: whoever resolves it from outside learns
where the balancer is, and cannot get there.
"""

import time
from typing import Any

from helpers import aws, load_balancer
from helpers.progress import resumed, until
from helpers.settings import current

_LIMIT = 300  # seconds; a change is in all of Route 53's servers within a minute


def find_zone() -> str | None:
    """The id of the public hosted zone of DOMAIN, ours or the reader's own."""
    wanted = current().DOMAIN + "."
    zones = aws.call("route53", "list_hosted_zones_by_name", DNSName=wanted)["HostedZones"]
    ids = [zone["Id"] for zone in zones if zone["Name"] == wanted and not zone["Config"].get("PrivateZone")]
    return ids[0].rpartition("/")[2] if ids else None


@resumed
def ensure() -> str:
    """Make the zone where there is none, point alb.<domain> to the balancer; the host name."""
    balancer, host = load_balancer.find(), current().alb_host
    zone = find_zone() or _create_zone()
    record = {
        "Name": host,
        "Type": "A",
        "AliasTarget": {
            "HostedZoneId": balancer.zone_id,
            "DNSName": balancer.dns_name,
            "EvaluateTargetHealth": False,
        },
    }
    there = find_record(zone)
    # Route 53 gives names back with a dot at their end.
    if there and there.get("AliasTarget", {}).get("DNSName", "").rstrip(".") == balancer.dns_name.lower():
        print(f"Record {host} exists, an alias of {balancer.dns_name}")
        return host
    change = aws.call(
        "route53",
        "change_resource_record_sets",
        HostedZoneId=zone,
        ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]},
    )["ChangeInfo"]
    until(
        f"Route 53 to know {host}",
        lambda: aws.call("route53", "get_change", Id=change["Id"])["ChangeInfo"]["Status"],
        lambda status: status == "INSYNC",
        limit=_LIMIT,
    )
    aws.said(f"route53 change-resource-record-sets: {host} A alias", balancer.dns_name)
    return host


def zone_comment() -> str:
    """What tells a zone that the tutorial made from a reader's own."""
    return f"Project={current().TUTORIAL_NAME}"


def find_record(zone: str) -> dict[str, Any] | None:
    """The A record of alb.<domain> in that zone."""
    name = current().alb_host + "."
    records = aws.items("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone)
    return next((record for record in records if record["Name"] == name and record["Type"] == "A"), None)


def _create_zone() -> str:
    domain = current().DOMAIN
    reference = f"{domain}-{time.time_ns()}"
    # Tags come in a second call; a run that ends between the two has left its name nevertheless.
    comment = {"Comment": zone_comment()}
    made = aws.call(
        "route53", "create_hosted_zone", Name=domain, CallerReference=reference, HostedZoneConfig=comment
    )
    zone = made["HostedZone"]["Id"].rpartition("/")[2]
    aws.call(
        "route53",
        "change_tags_for_resource",
        ResourceType="hostedzone",
        ResourceId=zone,
        AddTags=aws.tag_list(),
    )
    aws.said(f"route53 create-hosted-zone --name {domain}", zone)
    return zone
