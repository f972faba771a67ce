"""Route 53: DNS serves a change when the call returns, although the change is PENDING for a moment."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from flask import has_request_context, request
from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource
from moto.route53.models import FakeZone, RecordSet, Route53Backend

from lab.aws.context import LabBackend, network_name
from lab.aws.services.route53 import refusals
from lab.aws.services.route53.changes import Changes, Responses
from lab.dns import zones
from lab.dns.zones import absolute


class HostedZones(LabBackend, Route53Backend, TaggableResourcesMixin):
    """Public and private zones. The Resource Groups Tagging API lists them, as AWS's does in us-east-1."""

    SERVICE_NAMESPACE = "route53"
    response_class = Responses

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.changes = Changes()

    def create_hosted_zone(self, name: str, private_zone: bool, *args: Any, **kwargs: Any) -> FakeZone:
        """A zone with a VPC is private; moto uses the VPC only if HostedZoneConfig also says so."""
        refusals.create_hosted_zone(list(self.zones.values()), kwargs.get("caller_reference"))
        if has_request_context():
            body = ElementTree.fromstring(request.get_data())
            kwargs["vpcid"] = body.findtext("{*}VPC/{*}VPCId")
            kwargs["vpcregion"] = body.findtext("{*}VPC/{*}VPCRegion")
        zone = super().create_hosted_zone(name, bool(kwargs.get("vpcid")), *args, **kwargs)
        self._push()
        return zone

    def delete_hosted_zone(self, id_: str) -> FakeZone | None:
        refusals.delete_hosted_zone(self.get_hosted_zone(id_))
        zone = super().delete_hosted_zone(id_)
        self.resource_tags.pop(id_.removeprefix("/hostedzone/"), None)
        self._push()
        return zone

    def associate_vpc_with_hosted_zone(self, zone_id: str, vpcid: str, vpcregion: str) -> FakeZone:
        zone = super().associate_vpc_with_hosted_zone(zone_id, vpcid, vpcregion)
        self._push()
        return zone

    def disassociate_vpc_from_hosted_zone(self, zone_id: str, vpcid: str) -> FakeZone:
        zone = super().disassociate_vpc_from_hosted_zone(zone_id, vpcid)
        self._push()
        return zone

    def change_resource_record_sets(self, zoneid: str, change_list: list[dict[str, Any]]) -> None:
        refusals.change_record_sets(self.get_hosted_zone(zoneid), change_list)
        deleted = {refusals.key(change) for change in change_list if change["Action"] == "DELETE"}
        super().change_resource_record_sets(zoneid, change_list)
        # moto's journal would report a record that was deleted and created again as a duplicate.
        journal = self.get_hosted_zone(zoneid).rr_changes
        journal[:] = [change for change in journal if refusals.key(change) not in deleted]
        self._push()

    def list_tags_for_resource(self, resource_id: str) -> dict[str, str]:
        if resource_id not in self.health_checks:
            self.get_hosted_zone(resource_id)  # AWS checks that the zone exists
        return super().list_tags_for_resource(resource_id)

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        for zone_id in list(self.zones):
            arn = f"arn:{self.partition}:route53:::hostedzone/{zone_id}"
            yield TaggedResource(arn, dict(self.resource_tags.get(zone_id, {})), "route53:hostedzone")

    def _push(self) -> None:
        """Update the lab's DNS servers from the zones; returns when they serve the records."""
        self.context.dns.set_zones([_zone(zone) for zone in list(self.zones.values())])


def _zone(zone: FakeZone) -> zones.Zone:
    vpcs = frozenset(network_name(vpc["vpc_id"]) for vpc in zone.vpcs) if zone.private_zone else None
    return zones.Zone(absolute(zone.name), tuple(map(_record_set, list(zone.rrsets))), vpcs)


def _record_set(rrset: RecordSet) -> zones.RecordSet:
    name, type_ = absolute(rrset.name).replace("\\052", "*"), str(rrset.type)  # of a wildcard
    if rrset.alias_target:
        target = absolute(rrset.alias_target["DNSName"]).removeprefix("dualstack.")
        return zones.RecordSet(name, type_, alias=target)
    values = (value["Value"] if isinstance(value, dict) else value for value in rrset.records)
    return zones.RecordSet(name, type_, int(rrset.ttl or 0), tuple(values))
