"""The hosted zone of the domain in Route 53: a public one, or one that only the VPC knows."""

import time
from typing import Any

from helpers import aws
from helpers.aws import deletion
from helpers.base.resource import Resource
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


def ensure(vpc_id: str = "") -> str:
    """The zone's id; a tagged zone is made where there is none. A private one belongs to that VPC."""
    return find() or _create(vpc_id)


def records(zone: str) -> list[dict[str, Any]]:
    """The tutorial's records there: alb.<domain>, and what ACM asked for below it."""
    host = current().alb_host + "."
    return [record for record in _all_records(zone) if f".{record['Name']}".endswith(f".{host}")]


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


def delete() -> None:
    """Delete the tutorial's records, and the zones that it made, of whatever domain; a reader's own stays."""
    if zone := find():
        for record in records(zone):
            _delete_record(zone, record)
    for made in _made():
        for record in _all_records(made):
            if record["Type"] not in ("NS", "SOA"):  # those go with the zone
                _delete_record(made, record)
        deletion.delete("route53", "delete_hosted_zone", Id=made)


def leftovers() -> list[Resource]:
    """The tutorial's records, and the zones that it made."""
    zone = find()
    found = [("record", record["Name"]) for record in (records(zone) if zone else [])]
    return [Resource("AWS", *each) for each in [*found, *(("hosted zone", made) for made in _made())]]


def _made() -> list[str]:
    """Ids of the zones that the tutorial made."""
    zones = aws.list_all("route53", "list_hosted_zones", "HostedZones")
    return [zone["Id"].rpartition("/")[2] for zone in zones if zone["Config"].get("Comment") == _comment()]


def _comment() -> str:
    """What tells a zone that the tutorial made from a reader's own."""
    return f"Project={current().TUTORIAL_NAME}"


def _all_records(zone: str) -> list[dict[str, Any]]:
    return aws.list_all("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone)


def _delete_record(zone: str, record: dict[str, Any]) -> None:
    change = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]}
    if deletion.undo("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=change):
        aws.said(f"route53 change-resource-record-sets: {record['Name']} deleted")


def _create(vpc_id: str) -> str:
    settings = current()
    private = settings.TUTORIAL_ROUTE53_ZONE == "private"
    # Tags come in a second call; a run that ends between the two has left its name nevertheless.
    where: dict[str, Any] = {"HostedZoneConfig": {"Comment": _comment(), "PrivateZone": private}}
    if private:
        where["VPC"] = {"VPCRegion": settings.AWS_REGION, "VPCId": vpc_id}
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
    vpc = f" --vpc VPCId={vpc_id}" if private else ""
    aws.said(f"route53 create-hosted-zone --name {settings.TUTORIAL_DOMAIN}{vpc}", zone)
    return zone
