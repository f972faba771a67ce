"""The clean-up's command line against plain moto: what a dry run lists, what a sweep takes, its exit code."""

import pytest

from helpers import acm, aws, cleanup, dns, eks, function, load_balancer, network
from helpers.aws import iam
from helpers.base.errors import SettingsError
from helpers.base.settings import current
from helpers.base.tags import TUTORIAL


def made_at(monkeypatch: pytest.MonkeyPatch, name: str, created: str) -> None:
    """What is made from here on belongs to the run of that name and time."""
    monkeypatch.setenv("TUTORIAL_NAME", name)
    tags = {"Project": name, "Tutorial": TUTORIAL, "Created": created}
    monkeypatch.setattr(aws, "project_tags", lambda: tags)


def test_a_dry_run_lists_in_the_order_of_deletion_and_deletes_nothing(moto, capsys):
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


def test_from_a_notebook_on_what_earlier_ones_created_is_kept(moto, capsys):
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
def test_what_cannot_be_deleted_from_is_refused(moto, wrong):
    with pytest.raises(SystemExit, match=r"FROM=\d+ is not the number of a notebook|cannot be combined"):
        cleanup.main(**wrong)


def test_a_sweep_takes_old_runs_of_any_name_and_no_other(moto, monkeypatch, capsys):
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
    iam.ensure("function", "lambda")  # without a time: as if made now
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


def test_an_age_that_is_none_is_refused_before_anything_is_asked():
    with pytest.raises(SettingsError, match="24h"):
        cleanup.runs_older_than("a day")


def test_what_will_not_go_is_named_and_the_exit_code_is_not_0(moto, monkeypatch):
    arn = aws.call("sns", "create_topic", Name="left", Tags=aws.tag_list())["TopicArn"]
    monkeypatch.setattr(cleanup, "_LIMIT", 0.1)
    with pytest.raises(SystemExit) as ended:
        cleanup.main()
    assert str(ended.value.code).startswith("TimedOutError: ")
    assert arn in str(ended.value.code)


def test_a_zone_whose_run_ended_before_its_tags_were_set_is_found(moto):
    domain = current().TUTORIAL_DOMAIN
    comment = {"Comment": f"Project={current().TUTORIAL_NAME}"}
    aws.call("route53", "create_hosted_zone", Name=domain, CallerReference=domain, HostedZoneConfig=comment)
    assert [resource.kind for resource in dns.leftovers()] == ["hosted zone"]
    cleanup.everything()
    assert dns.leftovers() == []


def test_classic_balancers_and_disks_of_the_cluster_go(moto):
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
