"""Resources of the reader with the same name or kind in the same account: not mistaken for ours."""

from typing import Any

import pytest

from helpers import acm, aws, cleanup, curl, dns, function, load_balancer, network
from helpers.aws import route53
from helpers.base.errors import PrerequisiteError, SettingsError, TutorialError
from helpers.base.settings import current

PRIVATE = {"HostedZoneConfig": {"PrivateZone": True}}


def zone(reference: str, **more: Any) -> str:
    """A zone for the tutorial's domain, created by the reader."""
    domain = current().TUTORIAL_DOMAIN
    made = aws.call("route53", "create_hosted_zone", Name=domain, CallerReference=domain + reference, **more)
    return made["HostedZone"]["Id"].rpartition("/")[2]


def private_zone(vpc: str) -> str:
    return zone(vpc, VPC={"VPCRegion": current().AWS_REGION, "VPCId": vpc}, **PRIVATE)


def record(zone: str, **wanted: Any) -> None:
    changes = [{"Action": "CREATE", "ResourceRecordSet": wanted}]
    aws.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch={"Changes": changes})


def theirs(zone: str) -> None:
    record(zone, Name=current().alb_host, Type="A", TTL=60, ResourceRecords=[{"Value": "192.0.2.1"}])


def vpc() -> str:
    return aws.call("ec2", "create_vpc", CidrBlock=network.CIDR)["Vpc"]["VpcId"]


def make_all() -> None:
    network.ensure(), function.ensure(), acm.ensure(), load_balancer.ensure(), dns.ensure()


def test_only_the_private_zone_of_our_vpc_is_used(moto, monkeypatch):
    monkeypatch.setenv("TUTORIAL_ROUTE53_ZONE", "private")
    strangers = private_zone(vpc())
    theirs(strangers)
    assert route53.find() is None
    make_all()
    ours = route53.find()
    assert ours not in (None, strangers)
    assert dns.find()["AliasTarget"]["DNSName"].startswith(load_balancer.get().dns_name.lower())
    cleanup.everything()
    assert route53.zones(private=True) == [strangers]
    assert len(route53.records(strangers)) == 1


def test_a_private_zone_that_the_reader_associated_with_our_vpc_is_used_and_kept(moto, monkeypatch):
    monkeypatch.setenv("TUTORIAL_ROUTE53_ZONE", "private")
    private_zone(vpc())
    given = private_zone(network.ensure().vpc_id)
    make_all()
    assert route53.find() == given and route53.records(given)
    cleanup.everything()
    assert given in route53.zones(private=True) and route53.records(given) == []


def test_one_of_several_public_zones_is_selected_by_its_id(moto, monkeypatch):
    first, second = zone("1"), zone("2")
    for not_one in ("public", "Z0123456789ABC"):
        monkeypatch.setenv("TUTORIAL_ROUTE53_ZONE", not_one)
        with pytest.raises(SettingsError, match="set TUTORIAL_ROUTE53_ZONE to the ID") as refused:
            route53.ensure()
        assert first in str(refused.value) and second in str(refused.value)
    monkeypatch.setenv("TUTORIAL_ROUTE53_ZONE", second)
    make_all()
    assert (len(route53.records(first)), len(route53.records(second))) == (0, 1)
    monkeypatch.setenv("TUTORIAL_ROUTE53_ZONE", "public")
    cleanup.everything()
    assert route53.records(second) == []
    assert set(route53.zones(private=False)) == {first, second}


def test_of_several_public_zones_the_one_we_created_is_used(moto):
    network.ensure()
    ours = route53.ensure()
    zone("later")
    assert route53.find() == ours


def test_a_record_of_our_name_with_another_target_is_not_overwritten(moto):
    owners = zone("owner's")
    theirs(owners)
    with pytest.raises(
        SettingsError, match=r"points to something other .*\nTry: set another TUTORIAL_DOMAIN"
    ):
        make_all()
    cleanup.everything()
    [kept] = route53.records(owners)
    assert kept["ResourceRecords"] == [{"Value": "192.0.2.1"}]


def test_another_certificate_for_the_same_host_keeps_its_record(moto, monkeypatch):
    monkeypatch.setattr("moto.settings.ACM_VALIDATION_WAIT", 0)
    monkeypatch.setenv("TUTORIAL_CERTIFICATE", "acm")
    owners = zone("owner's")
    network.ensure()
    host = {"DomainName": current().alb_host, "ValidationMethod": "DNS"}
    others = aws.call("acm", "request_certificate", **host)["CertificateArn"]
    assert acm.ensure() != others
    [asked] = route53.records(owners)
    cleanup.everything()
    assert route53.records(owners) == [asked]
    assert aws.call("acm", "describe_certificate", CertificateArn=others)
    aws.call("acm", "delete_certificate", CertificateArn=others)
    acm.ensure()
    cleanup.everything()
    assert route53.records(owners) == []


def test_inside_means_inside_our_vpc(moto, monkeypatch):
    monkeypatch.setenv("TUTORIAL_INSIDE_VPC_COMMAND", "false {vpc}")
    with pytest.raises(PrerequisiteError):
        curl.inside_vpc("http://example.com")
    vpc()
    with pytest.raises(TutorialError, match=rf"run false {network.ensure().vpc_id} curl --version"):
        curl.inside_vpc("http://example.com")
