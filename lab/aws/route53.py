"""Route 53: a change has been served when the call returns, so that INSYNC is true."""

from collections.abc import Iterator
from typing import Any

from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource
from moto.route53.models import FakeZone, Route53Backend

from lab.aws import refusals
from lab.aws.backends import Backed


class HostedZones(Backed, Route53Backend, TaggableResourcesMixin):
    """Public and private zones. The Resource Groups Tagging API lists them, as AWS's does in us-east-1."""

    SERVICE_NAMESPACE = "route53"

    def create_hosted_zone(self, *args: Any, **kwargs: Any) -> FakeZone:
        zone = super().create_hosted_zone(*args, **kwargs)
        self.aws.dns.refresh()
        return zone

    def delete_hosted_zone(self, id_: str) -> FakeZone | None:
        zone = super().delete_hosted_zone(id_)
        self.resource_tags.pop(id_.removeprefix("/hostedzone/"), None)
        self.aws.dns.refresh()
        return zone

    def associate_vpc_with_hosted_zone(self, zone_id: str, vpcid: str, vpcregion: str) -> FakeZone:
        zone = super().associate_vpc_with_hosted_zone(zone_id, vpcid, vpcregion)
        self.aws.dns.refresh()
        return zone

    def disassociate_vpc_from_hosted_zone(self, zone_id: str, vpcid: str) -> FakeZone:
        zone = super().disassociate_vpc_from_hosted_zone(zone_id, vpcid)
        self.aws.dns.refresh()
        return zone

    def change_resource_record_sets(self, zoneid: str, change_list: list[dict[str, Any]]) -> None:
        refusals.change_record_sets(self.get_hosted_zone(zoneid), change_list)
        super().change_resource_record_sets(zoneid, change_list)
        self.aws.dns.refresh()

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        for zone_id in self.zones:
            arn = f"arn:{self.partition}:route53:::hostedzone/{zone_id}"
            yield TaggedResource(arn, dict(self.resource_tags.get(zone_id, {})), "route53:hostedzone")
