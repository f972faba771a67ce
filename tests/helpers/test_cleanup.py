"""The clean-up's command line against plain moto: dry runs, sweeps, exit status."""

import pytest

from helpers import acm, aws, cleanup, dns, eks, function, kube, load_balancer, network
from helpers.aws import iam
from helpers.base.errors import SettingsError
from helpers.base.settings import current
from helpers.base.tags import TUTORIAL


def made_at(monkeypatch: pytest.MonkeyPatch, name: str, created: str) -> None:
    """What is created in this block belongs to a run with that name and time."""
    monkeypatch.setenv("TUTORIAL_NAME", name)
    tags = {"Project": name, "Tutorial": TUTORIAL, "Created": created}
    monkeypatch.setattr(aws, "project_tags", lambda: tags)


def test_a_dry_run_lists_in_deletion_order_and_deletes_nothing(moto, capsys):
    network.ensure()
    function.ensure()
    acm.ensure()
    load_balancer.ensure()
    dns.ensure()
    before = cleanup.listing()
    capsys.readouterr()
    cleanup.main(dry_run=True)
    lines = capsys.readouterr().out.splitlines()
    assert cleanup.listing() == before
    assert len(lines) == len(before)
    kinds = list(dict.fromkeys(line.split(", ")[1].rpartition(" ")[0] for line in lines))
    assert kinds == [
        "record", "hosted zone", "load balancer", "target group", "bucket", "security group",
        "certificate", "function", "log group", "role", "NAT gateway", "elastic IP", "network interface",
        "route table", "subnet", "internet gateway", "VPC",
    ]  # fmt: skip


def test_from_keeps_what_earlier_notebooks_created(moto, capsys):
    place = network.ensure()
    function.ensure()
    acm.ensure()
    load_balancer.ensure()
    dns.ensure()
    cleanup.main(dry_run=True, first="06")
    assert "would delete" not in capsys.readouterr().out
    cleanup.main(first="01")
    assert network.find() == place
    left = [resource.kind for resource in cleanup.listing()]
    assert left == [resource.kind for resource in network.leftovers()]
    assert "security group" not in left
    capsys.readouterr()
    cleanup.main(first="01")
    assert "nothing to delete" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [{"first": "7"}, {"first": "99"}, {"first": "04", "older_than": "1d"}])
def test_an_invalid_from_is_rejected(moto, wrong):
    with pytest.raises(SystemExit, match=r"FROM=\d+ is not the number of a notebook|cannot be combined"):
        cleanup.main(**wrong)


def test_a_sweep_deletes_old_runs_of_any_name_and_no_others(moto, monkeypatch, capsys):
    made_at(monkeypatch, "swept", "2026-01-01T00:00:00Z")
    monkeypatch.setenv("TUTORIAL_DOMAIN", "swept.example.org")
    network.ensure()
    function.ensure()
    acm.ensure()
    load_balancer.ensure()
    dns.ensure()
    made_at(monkeypatch, "working", "2026-01-01T00:00:00Z")
    vpc = network.ensure().vpc_id
    monkeypatch.setattr(aws, "project_tags", lambda: {"Project": "working", "Tutorial": TUTORIAL})
    iam.ensure("function", "lambda")  # without a timestamp, as if created now
    monkeypatch.setenv("TUTORIAL_NAME", "another")
    assert [(run.name, run.domain) for run in cleanup.runs_older_than("1d")] == [
        ("swept", "swept.example.org")
    ]
    cleanup.main(older_than="1d")
    assert "Run swept, newest resource from 2026-01-01 00:00 UTC" in capsys.readouterr().out
    assert current().TUTORIAL_NAME == "another"
    monkeypatch.setenv("TUTORIAL_NAME", "swept")
    assert cleanup.listing() == []
    monkeypatch.setenv("TUTORIAL_NAME", "working")
    assert network.get().vpc_id == vpc
    assert cleanup.runs_older_than("1d") == []


def test_an_invalid_age_is_rejected_before_any_call():
    with pytest.raises(SettingsError, match="24h"):
        cleanup.runs_older_than("a day")


def test_failed_deletions_are_reported_and_the_exit_status_is_not_0(moto, monkeypatch):
    arn = aws.call("sns", "create_topic", Name="left", Tags=aws.tag_list())["TopicArn"]
    monkeypatch.setattr(cleanup, "_LIMIT", 0.1)
    with pytest.raises(SystemExit) as ended:
        cleanup.main()
    assert str(ended.value.code).startswith("TimedOutError: ")
    assert arn in str(ended.value.code)


def test_a_zone_is_found_if_the_run_ended_before_tagging_it(moto):
    domain = current().TUTORIAL_DOMAIN
    comment = {"Comment": f"Project={current().TUTORIAL_NAME}"}
    aws.call("route53", "create_hosted_zone", Name=domain, CallerReference=domain, HostedZoneConfig=comment)
    assert [resource.kind for resource in dns.leftovers()] == ["hosted zone"]
    cleanup.everything()
    assert dns.leftovers() == []


def test_the_clusters_classic_load_balancers_and_disks_are_deleted(moto):
    place, owned = network.ensure(), {"Key": eks.cluster_tag(), "Value": "owned"}
    listener = {"Protocol": "TCP", "LoadBalancerPort": 443, "InstancePort": 30443}
    name = current().TUTORIAL_NAME
    ours, theirs = {"Subnets": place.public[:1], "Tags": [owned]}, {"AvailabilityZones": ["us-east-1a"]}
    for balancer, where in ((f"a-{name}", ours), (f"b-{name}", theirs)):
        aws.call("elb", "create_load_balancer", LoadBalancerName=balancer, Listeners=[listener], **where)
    disks = [{"ResourceType": "volume", "Tags": [owned]}]
    aws.call("ec2", "create_volume", AvailabilityZone="us-east-1a", Size=1, TagSpecifications=disks)
    assert {"classic load balancer", "disk"} <= {resource.kind for resource in cleanup.listing()}
    cleanup.everything()
    assert cleanup.listing() == []
    left = aws.list_all("elb", "describe_load_balancers", "LoadBalancerDescriptions")
    assert f"b-{name}" in [balancer["LoadBalancerName"] for balancer in left]


OWNER = """
apiVersion: apps/v1
kind: ControllerRevision
metadata: {name: owner, namespace: default}
data: {}
revision: 1
"""
OWNED = """
apiVersion: v1
kind: Service
metadata:
  name: door
  namespace: default
  ownerReferences: [{apiVersion: apps/v1, kind: ControllerRevision, name: owner, uid: UID}]
spec: {type: LoadBalancer, ports: [{port: 443}]}
"""


def test_what_owns_a_service_with_a_load_balancer_goes_first(moto, cluster, monkeypatch, capsys):
    """Else its controller would create the Service again, as istiod does for a Gateway of the Gateway API."""
    monkeypatch.setattr(cleanup, "_ready", lambda: ["eks"])
    kube.apply_text("eks", OWNER)
    owner = "controllerrevision.apps/owner"
    kube.apply_text("eks", OWNED.replace("UID", kube.find("eks", "default", owner).metadata.uid))
    network.ensure()
    capsys.readouterr()
    cleanup.everything()
    said = capsys.readouterr().out
    gone = [said.index(f"delete {what}\n# → ") for what in (owner, "service/door")]
    assert gone == sorted(gone)
