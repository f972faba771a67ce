"""Names: resolvers serve the records of Route 53, publicly and per VPC."""

import json
import socket

import pytest
from botocore.exceptions import ClientError
from dnslib import QTYPE, RCODE, DNSRecord

from lab.aws import delays
from lab.aws.server import Aws
from lab.aws.services.ec2.networks import Networks
from lab.network import PUBLIC_DNS, Namespace
from lab.sockets import in_namespace


def ask(namespace: Namespace, server: str, name: str, type_: str = "A") -> DNSRecord:
    with in_namespace(namespace.path, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp:
        udp.settimeout(5)
        udp.connect((server, 53))
        udp.send(DNSRecord.question(name, type_).pack())
        return DNSRecord.parse(udp.recv(4096))


def values(answer: DNSRecord) -> list[str]:
    return sorted(f"{QTYPE[record.rtype]} {record.rdata}" for record in answer.rr)


def change(route53, zone_id: str, action: str, name: str, type_: str, *records: str) -> None:
    record_set = {"Name": name, "Type": type_, "TTL": 30, "ResourceRecords": [{"Value": r} for r in records]}
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": record_set}]}
    route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch=batch)


@pytest.fixture(scope="module")
def route53(client):
    return client("route53")


@pytest.fixture
def zone(route53):
    zone_id = route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    yield zone_id
    for record_set in route53.list_resource_record_sets(HostedZoneId=zone_id)["ResourceRecordSets"]:
        if record_set["Type"] not in ("NS", "SOA"):
            delete = {"Action": "DELETE", "ResourceRecordSet": record_set}
            route53.change_resource_record_sets(HostedZoneId=zone_id, ChangeBatch={"Changes": [delete]})
    route53.delete_hosted_zone(Id=zone_id)


@pytest.fixture
def outside(aws: Aws):
    """Queries the public server, as from a reader's laptop."""
    return lambda name, type_="A": ask(aws.context.internet.outside, PUBLIC_DNS, name, type_)


def test_a_record_is_served_when_the_call_returns(route53, zone, outside):
    change(route53, zone, "CREATE", "www.example.com", "A", "198.51.100.7")
    assert values(outside("www.example.com")) == ["A 198.51.100.7"]
    change(route53, zone, "UPSERT", "www.example.com", "A", "198.51.100.8", "198.51.100.9")
    assert values(outside("www.example.com")) == ["A 198.51.100.8", "A 198.51.100.9"]
    change(route53, zone, "DELETE", "www.example.com", "A", "198.51.100.8", "198.51.100.9")
    assert outside("www.example.com").header.rcode == RCODE.NXDOMAIN


def test_other_types_and_wildcards(route53, zone, outside):
    change(route53, zone, "CREATE", "a.example.com", "A", "198.51.100.7")
    change(route53, zone, "CREATE", "c.example.com", "CNAME", "a.example.com")
    change(route53, zone, "CREATE", "*.w.example.com", "AAAA", "2001:db8::1")
    change(route53, zone, "CREATE", "t.example.com", "TXT", '"v=1 SERIAL; two words"')
    assert values(outside("c.example.com")) == ["A 198.51.100.7", "CNAME a.example.com."]
    assert values(outside("any.w.example.com", "AAAA")) == ["AAAA 2001:db8::1"]
    assert values(outside("t.example.com", "TXT")) == ['TXT "v=1 SERIAL; two words"']
    assert len(outside("example.com", "NS").rr) == 4
    assert outside("example.com", "SOA").rr[0].rdata.times[0] > 1


def test_names_in_no_zone_do_not_exist_and_are_not_forwarded(outside):
    for name in ("www.example.net", "amazonaws.com", "com"):
        answer = outside(name)
        assert (answer.header.rcode, answer.header.aa) == (RCODE.NXDOMAIN, 1)


def test_a_private_zone_is_visible_only_in_its_vpc(aws, route53, network, zone, outside):
    change(route53, zone, "CREATE", "public.example.com", "A", "198.51.100.7")
    vpc = aws.context.peer(Networks, "eu-central-1").namespace(network.vpc_id)
    inside = lambda name: ask(vpc.namespace, "10.0.0.2", name)  # noqa: E731
    private = route53.create_hosted_zone(
        Name="corp.internal", CallerReference="2", VPC={"VPCRegion": "eu-central-1", "VPCId": network.vpc_id}
    )["HostedZone"]["Id"]
    change(route53, private, "CREATE", "db.corp.internal", "A", "10.0.1.7")
    assert values(inside("db.corp.internal")) == ["A 10.0.1.7"]
    assert outside("db.corp.internal").header.rcode == RCODE.NXDOMAIN
    assert values(inside("public.example.com")) == ["A 198.51.100.7"]
    change(route53, private, "DELETE", "db.corp.internal", "A", "10.0.1.7")
    assert inside("db.corp.internal").header.rcode == RCODE.NXDOMAIN
    route53.delete_hosted_zone(Id=private)


def test_a_load_balancers_host_name_and_its_aliases_follow_its_addresses(aws, route53, zone, outside):
    host = "a0123456789-1.eu-central-1.elb.amazonaws.com"
    aws.context.dns.publish(host, ["198.51.100.20"])
    alias = {"HostedZoneId": "Z1", "DNSName": f"dualstack.{host}", "EvaluateTargetHealth": False}
    record_set = {"Name": "app.example.com", "Type": "A", "AliasTarget": alias}
    route53.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record_set}]}
    )
    assert values(outside(host)) == values(outside("app.example.com")) == ["A 198.51.100.20"]
    aws.context.dns.publish(host, ["198.51.100.21"])
    assert values(outside("app.example.com")) == ["A 198.51.100.21"]
    aws.context.dns.withdraw(host)
    assert outside(host).header.rcode == RCODE.NXDOMAIN
    assert outside("app.example.com").rr == []


@pytest.mark.parametrize(
    ("action", "name", "type_", "value", "said"),
    [
        ("CREATE", "there.example.com", "A", "198.51.100.1", "but it already exists"),
        ("CREATE", "there.example.com", "CNAME", "x.example.net", "conflicts with other records"),
        ("CREATE", "example.com", "CNAME", "x.example.net", "not permitted at apex in zone example.com."),
        ("UPSERT", "new.example.com", "A", "198.51.100", "(Value is not a valid IPv4 address)"),
        ("UPSERT", "new.example.com", "AAAA", "198.51.100.1", "(Value is not a valid IPv6 address)"),
        ("DELETE", "missing.example.com", "A", "198.51.100.1", "but it was not found"),
        ("DELETE", "there.example.com", "A", "198.51.100.2", "do not match the current values"),
    ],
)
def test_route53_rejects_invalid_changes(route53, zone, action, name, type_, value, said):
    change(route53, zone, "CREATE", "there.example.com", "A", "198.51.100.1")
    with pytest.raises(ClientError) as refused:
        change(route53, zone, action, name, type_, value)
    assert refused.value.response["Error"]["Code"] == "InvalidChangeBatch"
    assert said in refused.value.response["Error"]["Message"]


def test_a_zone_with_records_cannot_be_deleted(route53, zone):
    change(route53, zone, "CREATE", "there.example.com", "A", "198.51.100.1")
    with pytest.raises(ClientError, match="HostedZoneNotEmpty"):
        route53.delete_hosted_zone(Id=zone)
    change(route53, zone, "DELETE", "there.example.com", "A", "198.51.100.1")
    change(route53, zone, "CREATE", "there.example.com", "A", "198.51.100.1")  # again, after a deletion


def test_a_change_is_pending_for_a_moment(route53, zone, monkeypatch):
    monkeypatch.setattr(delays, "CHANGE", 1)
    record_set = {
        "Name": "p.example.com",
        "Type": "A",
        "TTL": 30,
        "ResourceRecords": [{"Value": "192.0.2.1"}],
    }
    batch = {"Comment": "mine", "Changes": [{"Action": "CREATE", "ResourceRecordSet": record_set}]}
    info = route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]
    assert (info["Status"], info["Comment"]) == ("PENDING", "mine")
    pending = route53.get_change(Id=info["Id"])["ChangeInfo"]
    assert pending == info
    route53.get_waiter("resource_record_sets_changed").wait(Id=info["Id"], WaiterConfig={"Delay": 1})
    assert route53.get_change(Id=info["Id"])["ChangeInfo"] == info | {"Status": "INSYNC"}


def test_each_change_has_an_id_that_outlives_its_zone(route53):
    made = route53.create_hosted_zone(Name="brief.example.net", CallerReference="brief")
    deleted = route53.delete_hosted_zone(Id=made["HostedZone"]["Id"])
    changes = [made["ChangeInfo"], deleted["ChangeInfo"]]
    assert [change["Status"] for change in changes] == ["PENDING", "PENDING"]
    assert changes[0]["Id"] != changes[1]["Id"]
    for info in changes:
        assert route53.get_change(Id=info["Id"])["ChangeInfo"]["SubmittedAt"] == info["SubmittedAt"]


def test_an_unknown_change_is_rejected(route53):
    with pytest.raises(route53.exceptions.NoSuchChange) as refused:
        route53.get_change(Id="/change/C2682N5HXP0BZ4")
    answer = refused.value.response
    assert answer["Error"]["Message"] == "Could not find resource with ID: C2682N5HXP0BZ4"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_functions_resolve_names_in_public_dns(client, function, zip_of, route53, zone):
    change(route53, zone, "CREATE", "www.example.com", "A", "198.51.100.7")
    code = zip_of("import socket\ndef handler(name, context): return socket.gethostbyname(name)")
    functions = client("lambda")
    functions.update_function_code(FunctionName="hello", ZipFile=code)
    functions.get_waiter("function_updated_v2").wait(FunctionName="hello", WaiterConfig={"Delay": 1})

    def look_up(name: str) -> str:
        return functions.invoke(FunctionName="hello", Payload=json.dumps(name))["Payload"].read().decode()

    assert look_up("www.example.com") == '"198.51.100.7"'
    assert "gaierror" in look_up("absent.example.com")
