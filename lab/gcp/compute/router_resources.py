"""Converts a request to the router that Compute Engine would describe: checks, then defaults.

Rules and defaults: https://cloud.google.com/compute/docs/reference/rest/v1/routers; wording: the service's,
as far as it is known.
"""

import re
from enum import Enum
from typing import Any

from google.cloud.compute_v1.types import Router, RouterNat, RouterNatLogConfig

from lab.gcp.api.errors import ComputeError, bad_value, missing, no_resource, not_offered
from lab.gcp.api.locations import Region
from lab.gcp.compute.region_operations import new_id, timestamp

NETWORK = "default"  # the project's only network
EVERYTHING = "ALL_SUBNETWORKS_ALL_IP_RANGES"
_NAME = "(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)"
_DESCRIPTION = 2048
_PROJECT = r"projects/([^/]+)/"
_REFERENCE = re.compile(rf"(?:https?://[^/]+/compute/[^/]+/{_PROJECT}|{_PROJECT}|)global/networks/([^/]+)")


def check_router(router: Any, region: Region) -> None:
    """Refuse what Compute Engine refuses immediately, in its words, and what the lab does not offer."""
    _check_name("resource.name", router)
    if len(router.description) > _DESCRIPTION:
        raise bad_value(
            "resource.description", router.description, f"Must be at most {_DESCRIPTION} characters long."
        )
    _check_network(router, region)
    for number, nat in enumerate(router.nats):
        _check_nat(f"resource.nats[{number}]", nat)
    if len(router.nats) > 1:
        raise nat_exists(1)


def nat_exists(number: int) -> ComputeError:
    """A network can have only one NAT for all its subnetworks in a region."""
    field = f"resource.nats[{number}].sourceSubnetworkIpRangesToNat"
    reason = f"Can not create new Nats since a Nat with option {EVERYTHING} exists."
    return bad_value(field, EVERYTHING, reason)


def described(asked: Any, region: Region, compute_url: str) -> Router:
    """The router as it is shown from now on, with its defaults."""
    router: Any = Router(asked)
    router.kind, router.id, router.creation_timestamp = "compute#router", new_id(), timestamp()
    router.network = f"{compute_url}/projects/{region.project}/global/networks/{NETWORK}"
    router.region = f"{compute_url}/{region.path}"
    router.self_link = f"{compute_url}/{region.path}/routers/{router.name}"
    router.encrypted_interconnect_router = False  # set explicitly to be shown; the same for the NAT's field
    return with_nat_defaults(router)


def with_nat_defaults(router: Any) -> Router:
    for nat in router.nats:
        nat.type_ = nat.type_ or "PUBLIC"
        nat.endpoint_types = nat.endpoint_types or ["ENDPOINT_TYPE_VM"]
        nat.auto_network_tier = nat.auto_network_tier or "PREMIUM"
        nat.enable_endpoint_independent_mapping = nat.enable_endpoint_independent_mapping
        if nat.log_config.enable:
            nat.log_config.filter = nat.log_config.filter or "ALL"
    return router


def _check_network(router: Any, region: Region) -> None:
    if not router.network:
        raise missing("resource.network")
    found = _REFERENCE.fullmatch(router.network)
    if not found:
        raise bad_value("resource.network", router.network, "The URL is malformed.")
    if (found[1] or found[2] or region.project) != region.project:
        reason = "Cross-project references for this resource type are not allowed."
        raise bad_value("resource.network", router.network, reason)
    if found[3] != NETWORK:
        raise no_resource(f"projects/{region.project}/global/networks/{found[3]}")


def _check_nat(at: str, nat: Any) -> None:
    _check_name(f"{at}.name", nat)
    _check_choice(f"{at}.natIpAllocateOption", nat.nat_ip_allocate_option, RouterNat.NatIpAllocateOption)
    ranges = RouterNat.SourceSubnetworkIpRangesToNat
    _check_choice(f"{at}.sourceSubnetworkIpRangesToNat", nat.source_subnetwork_ip_ranges_to_nat, ranges)
    for name, value, kind in (
        ("type", nat.type_, RouterNat.Type),
        ("autoNetworkTier", nat.auto_network_tier, RouterNat.AutoNetworkTier),
        ("logConfig.filter", nat.log_config.filter, RouterNatLogConfig.Filter),
    ):
        if value:
            _check_choice(f"{at}.{name}", value, kind)
    if nat.nat_ip_allocate_option == "MANUAL_ONLY":
        raise not_offered("a NAT with addresses of its own (MANUAL_ONLY)")
    if nat.nat_ips:
        reason = "NAT IPs can not be specified with the option AUTO_ONLY."
        raise bad_value(f"{at}.natIps[0]", nat.nat_ips[0], reason)
    if nat.source_subnetwork_ip_ranges_to_nat != EVERYTHING:
        raise not_offered(f"a NAT of {nat.source_subnetwork_ip_ranges_to_nat}")
    if nat.subnetworks:
        reason = f"Subnetworks can not be specified with the option {EVERYTHING}."
        raise bad_value(f"{at}.subnetworks[0].name", nat.subnetworks[0].name, reason)
    if nat.type_ == "PRIVATE" or list(nat.endpoint_types) not in ([], ["ENDPOINT_TYPE_VM"]):
        raise not_offered("a NAT between networks, or of anything but virtual machines")


def _check_name(field: str, resource: Any) -> None:
    if "name" not in resource:
        raise missing(field)
    if not re.fullmatch(_NAME, resource.name):
        raise bad_value(field, resource.name, f"Must be a match of regex '{_NAME}'")


def _check_choice(field: str, value: str, kind: type[Enum]) -> None:
    if not value:
        raise missing(field)
    choices = [choice.name for choice in kind if not choice.name.startswith("UNDEFINED")]
    if value not in choices:
        raise bad_value(field, value, f"Must be one of [{', '.join(choices)}].")
