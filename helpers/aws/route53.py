"""The hosted zone of the domain in Route 53: a public one, or one that only the VPC can resolve."""

import time
from typing import Any

from helpers import aws
from helpers.aws import deletion, ec2
from helpers.base.errors import SettingsError
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.waiting import wait_until

_LIMIT = 300  # seconds; a change propagates to all of Route 53's servers within a minute


def find() -> str | None:
    """The ID of the domain's zone for TUTORIAL_ROUTE53_ZONE, ours or the reader's own, or None.

    A private zone is the one of the tutorial's VPC: other VPCs may have zones of the same name.
    Raises SettingsError if several public zones have that name, or none has the ID that is set.
    """
    wanted = current().TUTORIAL_ROUTE53_ZONE
    if wanted != "private":
        return _public(wanted)
    vpcs = {vpc["VpcId"] for vpc in ec2.tagged("VPC")}
    return next((zone for zone in zones(private=True) if vpcs & _vpcs(zone)), None)


def _public(wanted: str) -> str | None:
    """`wanted` is "public" or an id; of several, the one that the tutorial created is used."""
    there = zones(private=False)
    if wanted == "public" and len(there) < 2:
        return there[0] if there else None
    meant = set(there) & (set(_made()) if wanted == "public" else {wanted})
    if len(meant) == 1:
        return meant.pop()
    raise SettingsError(
        f"Looking up the hosted zone {current().TUTORIAL_DOMAIN}",
        f"TUTORIAL_ROUTE53_ZONE is {wanted}, but its public zones are {', '.join(there) or 'none'}",
        "set TUTORIAL_ROUTE53_ZONE to the ID of the zone to use.",
    )


def zones(private: bool) -> list[str]:
    """Ids of the domain's zones of that kind, whoever created them."""
    wanted = current().TUTORIAL_DOMAIN + "."
    listed = aws.call("route53", "list_hosted_zones_by_name", DNSName=wanted)["HostedZones"]
    of_kind = [zone for zone in listed if zone["Config"].get("PrivateZone", False) == private]
    return [zone["Id"].rpartition("/")[2] for zone in of_kind if zone["Name"] == wanted]


def ensure(vpc_id: str = "") -> str:
    """The zone's id; a tagged zone is created if there is none. A private one belongs to that VPC."""
    zone = find()
    if zone is None:
        return _create(vpc_id)
    kinds = {"private": "Config.PrivateZone", "public": "!(Config.PrivateZone)"}
    if kind := kinds.get(current().TUTORIAL_ROUTE53_ZONE):  # otherwise the settings have its ID
        name = current().TUTORIAL_DOMAIN
        show = f"HostedZones[?Name=='{name}.' && {kind}].Id | [0]"
        aws.shown("route53", "list_hosted_zones_by_name", show=show, DNSName=name)
    return zone


def records(zone: str) -> list[dict[str, Any]]:
    """The records of alb.<domain> there, and ACM's validation records below it, whoever created them."""
    host = current().alb_host + "."
    return [record for record in _all_records(zone) if f".{record['Name']}".endswith(f".{host}")]


def upsert(zone: str, record: dict[str, Any], document: str) -> None:
    """Write a record and wait until it has propagated to all of Route 53's servers; raises TimedOutError."""
    change = aws.change(
        "route53",
        "change_resource_record_sets",
        show="ChangeInfo.Id",
        document=document,
        HostedZoneId=zone,
        ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]},
    )["ChangeInfo"]
    wait_until(
        f"Route 53 to propagate {record['Name']}",
        lambda: aws.call("route53", "get_change", Id=change["Id"])["ChangeInfo"]["Status"],
        lambda status: status == "INSYNC",
        timeout=_LIMIT,
    )
    aws.waited("route53", "resource_record_sets_changed", Id=change["Id"])


def delete_made() -> None:
    """Delete the zones that the tutorial created, whatever their domain, with their records."""
    for made in _made():
        for record in _all_records(made):
            if record["Type"] not in ("NS", "SOA"):  # those are deleted with the zone
                delete_record(made, record)
        deletion.delete("route53", "delete_hosted_zone", Id=made)


def delete_record(zone: str, record: dict[str, Any]) -> None:
    """Delete one record; it may already be gone."""
    change = {"Changes": [{"Action": "DELETE", "ResourceRecordSet": record}]}
    where = {"HostedZoneId": zone, "ChangeBatch": change}
    name = f"delete-{record['Name'].rstrip('.')}-{record['Type']}"
    deletion.undo("route53", "change_resource_record_sets", document=name, **where)


def leftovers() -> list[Resource]:
    """The zones that the tutorial created."""
    return [Resource("AWS", "hosted zone", made) for made in _made()]


def _made() -> list[str]:
    """Ids of the zones that the tutorial created."""
    zones = aws.list_all("route53", "list_hosted_zones", "HostedZones")
    return [zone["Id"].rpartition("/")[2] for zone in zones if zone["Config"].get("Comment") == _comment()]


def _comment() -> str:
    """What distinguishes a zone that the tutorial created from a reader's own."""
    return f"Project={current().TUTORIAL_NAME}"


def _all_records(zone: str) -> list[dict[str, Any]]:
    return aws.list_all("route53", "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone)


def _vpcs(zone: str) -> set[str]:
    """Ids of the VPCs that a private zone is associated with."""
    return {vpc["VPCId"] for vpc in aws.call("route53", "get_hosted_zone", Id=zone)["VPCs"]}


def _create(vpc_id: str) -> str:
    settings = current()
    private = settings.TUTORIAL_ROUTE53_ZONE == "private"
    # Tags come in a second call; a run that ends between the two has left its name nevertheless.
    where: dict[str, Any] = {"HostedZoneConfig": {"Comment": _comment(), "PrivateZone": private}}
    if private:
        where["VPC"] = {"VPCRegion": settings.AWS_REGION, "VPCId": vpc_id}
    reference = f"{settings.TUTORIAL_DOMAIN}-{time.time_ns()}"
    where |= {"Name": settings.TUTORIAL_DOMAIN, "CallerReference": reference}
    made = aws.change("route53", "create_hosted_zone", show="HostedZone.Id", **where)
    zone = made["HostedZone"]["Id"].rpartition("/")[2]
    aws.change(
        "route53",
        "change_tags_for_resource",
        ResourceType="hostedzone",
        ResourceId=zone,
        AddTags=aws.tag_list(),
    )
    return zone
