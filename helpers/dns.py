"""alb.<domain> in Route 53: an alias of the load balancer.

In a public zone the name is public while its addresses are private: a client outside can resolve
them, but not reach them.
"""

import re
from typing import Any

from helpers import acm, load_balancer, network
from helpers.aws import route53
from helpers.base import folding
from helpers.base.errors import SettingsError
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.waiting import resume_after_lost_answer


@folding.step()
@resume_after_lost_answer
def ensure() -> str:
    """Create the zone if there is none, point alb.<domain> to the load balancer; returns the host name."""
    balancer, host = load_balancer.get(), current().alb_host
    there = find()
    if there and _alias(there) == balancer.dns_name.lower():
        print(f"Record {host} exists, an alias of {balancer.dns_name}")
        return host
    zone_id = route53.ensure(network.get().vpc_id)
    target = {
        "HostedZoneId": balancer.zone_id,
        "DNSName": balancer.dns_name,
        "EvaluateTargetHealth": False,
    }
    route53.upsert(zone_id, {"Name": host, "Type": "A", "AliasTarget": target}, "alias")
    return host


def find() -> dict[str, Any] | None:
    """The A record of alb.<domain> in the domain's zone, or None.

    Raises SettingsError if it is the reader's own record, for something else.
    """
    zone_id, host = route53.find(), current().alb_host
    records = route53.records(zone_id) if zone_id else []
    found = next((each for each in records if (each["Name"], each["Type"]) == (f"{host}.", "A")), None)
    if found and not _is_ours(found):
        answer = f"{host} in the zone {zone_id} points to something other than the tutorial's load balancer"
        raise SettingsError(f"Looking up {host}", answer, "set another TUTORIAL_DOMAIN.")
    return found


def delete() -> None:
    """Delete the tutorial's records, and the zones that it created; the reader's own are kept."""
    for zone, record in _records():
        route53.delete_record(zone, record)
    route53.delete_made()


def leftovers() -> list[Resource]:
    """The tutorial's records, and the zones that it created, whatever their domain."""
    found = [Resource("AWS", "record", record["Name"]) for _, record in _records()]
    return found + route53.leftovers()


def _records() -> list[tuple[str, dict[str, Any]]]:
    """The tutorial's records with their zones: the alias, and its certificate's own validation record."""
    asked = acm.validation_names()
    zones = route53.zones(private=False) + route53.zones(private=True)
    found = [(zone, record) for zone in zones for record in route53.records(zone)]
    return [each for each in found if _is_ours(each[1]) or each[1]["Name"].rstrip(".") in asked]


def _is_ours(record: dict[str, Any]) -> bool:
    """Whether it is an alias of a load balancer with our name, existing or deleted."""
    return re.match(rf"(internal-)?{re.escape(load_balancer.name())}-\d+\.", _alias(record)) is not None


def _alias(record: dict[str, Any]) -> str:
    """The target of the alias. Route 53 returns names with a trailing dot."""
    return record.get("AliasTarget", {}).get("DNSName", "").lower().removeprefix("dualstack.").rstrip(".")


def outside() -> list[str]:
    """The arguments that curl needs to find the load balancer from outside the VPC.

    None if the name is public; otherwise the load balancer's AWS name, which always is.
    """
    if current().TUTORIAL_ROUTE53_ZONE != "private":
        return []
    return ["--connect-to", f"{current().alb_host}::{load_balancer.get().dns_name}:"]
