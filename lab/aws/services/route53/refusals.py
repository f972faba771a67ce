"""Route 53."""

from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

from moto.route53.exceptions import Route53ClientError
from moto.route53.models import FakeZone, RecordSet


def create_hosted_zone(zones: Iterable[FakeZone], caller_reference: str | None) -> None:
    if any(zone.caller_reference == caller_reference for zone in zones):
        raise Route53ClientError(
            "HostedZoneAlreadyExists",
            "A hosted zone has already been created with the specified caller reference.",
        )


def delete_hosted_zone(zone: FakeZone) -> None:
    if any(rrset.type not in ("NS", "SOA") for rrset in zone.rrsets):
        raise Route53ClientError(
            "HostedZoneNotEmpty",
            "The specified hosted zone contains non-required resource record sets and so cannot be deleted.",
        )


def change_record_sets(zone: FakeZone, changes: list[dict[str, Any]]) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html"""
    deleted = {key(change) for change in changes if change["Action"] == "DELETE"}
    for change in changes:
        wanted = change["ResourceRecordSet"]
        name, type_ = _name(wanted["Name"]), wanted["Type"]
        here = [rrset for rrset in zone.rrsets if _name(rrset.name) == name]
        former = [r for r in here if r.type == type_ and r.set_identifier == wanted.get("SetIdentifier")]
        if change["Action"] == "DELETE":
            _delete(name, type_, former, wanted)
            continue
        if change["Action"] == "CREATE" and former and (name, type_) not in deleted:
            _refuse(
                f"Tried to create resource record set [name='{name}', type='{type_}'] but it already exists"
            )
        _check_values(type_, wanted.get("ResourceRecords", []))
        _check_cname(zone, name, type_, (r for r in here if (name, r.type) not in deleted))


def _delete(name: str, type_: str, former: list[RecordSet], wanted: dict[str, Any]) -> None:
    what = f"Tried to delete resource record set [name='{name}', type='{type_}'] but"
    if not former:
        _refuse(f"{what} it was not found")
    given = sorted(record["Value"] for record in wanted.get("ResourceRecords", []))
    if given != sorted(former[0].records or []) or str(wanted.get("TTL")) != str(former[0].ttl):
        _refuse(f"{what} the values provided do not match the current values")


def _check_values(type_: str, records: list[dict[str, str]]) -> None:
    kinds = {"A": (IPv4Address, "IPv4"), "AAAA": (IPv6Address, "IPv6")}
    if type_ not in kinds:
        return
    address, kind = kinds[type_]
    for record in records:
        try:
            address(record["Value"])
        except AddressValueError:
            _refuse(
                f"Invalid Resource Record: 'FATAL problem: ARRDATAIllegal{kind}Address "
                f"(Value is not a valid {kind} address) encountered with '{record['Value']}''"
            )


def _check_cname(zone: FakeZone, name: str, type_: str, others: Iterable[RecordSet]) -> None:
    origin = _name(zone.name)
    if type_ == "CNAME" and name == origin:
        _refuse(f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {origin}")
    if any((type_ == "CNAME") != (other.type == "CNAME") for other in others):
        _refuse(
            f"RRSet of type {type_} with DNS name {name} is not permitted as it conflicts "
            f"with other records with the same DNS name in zone {origin}"
        )


def key(change: dict[str, Any]) -> tuple[str, str]:
    """Name and type of a change's record set."""
    return _name(change["ResourceRecordSet"]["Name"]), change["ResourceRecordSet"]["Type"]


def _refuse(message: str) -> None:
    raise Route53ClientError("InvalidChangeBatch", f"[{message}]")


def _name(name: str) -> str:
    return name.lower().rstrip(".") + "."
