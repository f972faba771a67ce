"""The hosted zone of the domain in Route 53: a public one, or one that only the VPC knows."""

import time
from typing import Any

from helpers import aws, network
from helpers.base.settings import current
from helpers.base.waiting import wait_until

_LIMIT = 300  # seconds; a change is in all of Route 53's servers within a minute


def find() -> str | None:
    """The id of the domain's zone of the kind that TUTORIAL_ROUTE53_ZONE says, ours or the reader's own."""
    wanted, private = current().TUTORIAL_DOMAIN + ".", current().TUTORIAL_ROUTE53_ZONE == "private"
    zones = aws.call("route53", "list_hosted_zones_by_name", DNSName=wanted)["HostedZones"]
    ids = [
        zone["Id"]
        for zone in zones
        if zone["Name"] == wanted and zone["Config"].get("PrivateZone", False) == private
    ]
    return ids[0].rpartition("/")[2] if ids else None


def ensure() -> str:
    """The zone's id; a tagged zone is made where there is none."""
    return find() or _create()


def comment() -> str:
    """What tells a zone that the tutorial made from a reader's own."""
    return f"Project={current().TUTORIAL_NAME}"


def records(zone: str) -> list[dict[str, Any]]:
    """The tutorial's records there: alb.<domain>, and what ACM asked for below it."""
    host = current().alb_host + "."
    listed = aws.list_all("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone)
    return [record for record in listed if record["Name"] == host or record["Name"].endswith("." + host)]


def upsert(zone: str, record: dict[str, Any]) -> None:
    """Write a record and wait until all of Route 53's servers know it; raises TimedOutError."""
    change = aws.call(
        "route53",
        "change_resource_record_sets",
        HostedZoneId=zone,
        ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]},
    )["ChangeInfo"]
    wait_until(
        f"Route 53 to know {record['Name']}",
        lambda: aws.call("route53", "get_change", Id=change["Id"])["ChangeInfo"]["Status"],
        lambda status: status == "INSYNC",
        timeout=_LIMIT,
    )


def _create() -> str:
    settings = current()
    private = settings.TUTORIAL_ROUTE53_ZONE == "private"
    # Tags come in a second call; a run that ends between the two has left its name nevertheless.
    where: dict[str, Any] = {"HostedZoneConfig": {"Comment": comment(), "PrivateZone": private}}
    if private:
        where["VPC"] = {"VPCRegion": settings.AWS_REGION, "VPCId": network.find().vpc_id}
    reference = f"{settings.TUTORIAL_DOMAIN}-{time.time_ns()}"
    made = aws.call(
        "route53", "create_hosted_zone", Name=settings.TUTORIAL_DOMAIN, CallerReference=reference, **where
    )
    zone = made["HostedZone"]["Id"].rpartition("/")[2]
    aws.call(
        "route53",
        "change_tags_for_resource",
        ResourceType="hostedzone",
        ResourceId=zone,
        AddTags=aws.tag_list(),
    )
    vpc = f" --vpc VPCId={where['VPC']['VPCId']}" if private else ""
    aws.said(f"route53 create-hosted-zone --name {settings.TUTORIAL_DOMAIN}{vpc}", zone)
    return zone
