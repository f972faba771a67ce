"""The AWS helpers against plain moto: create once, find again, delete completely."""

import base64
import hashlib
import io
import json
import zipfile

import pytest

from helpers import acm, aws, cleanup, dns, eks, function, load_balancer, network
from helpers.aws import ec2, route53
from helpers.base.errors import ApiError, PrerequisiteError, SettingsError, UnreachableError
from helpers.base.settings import current
from tests import web


def make_all() -> tuple:
    return (
        network.ensure(),
        function.ensure(),
        acm.ensure(),
        load_balancer.ensure(),
        dns.ensure(),
    )


def test_second_run_changes_nothing_and_reports_it(moto, capsys):
    first = make_all()
    said = capsys.readouterr().out
    assert "aws ec2 create-vpc --cidr-block 10.0.0.0/16 --tag-specifications" in said
    assert f"\n# → {first[0].vpc_id}\n" in said
    assert make_all() == first
    again = capsys.readouterr().out
    assert "aws " not in again
    assert f"VPC {first[0].vpc_id} with its 6 subnets exists" in again
    assert "Listener HTTPS 443 exists" in again


def test_network_has_three_zones_and_the_tags_that_load_balancers_need(moto):
    place = network.ensure()
    subnets = {subnet["SubnetId"]: subnet for subnet in aws.list_all("ec2", "describe_subnets", "Subnets")}
    tag_of = {place.private[0]: "kubernetes.io/role/internal-elb", place.public[0]: "kubernetes.io/role/elb"}
    for id_, tag in tag_of.items():
        assert {"Key": tag, "Value": "1"} in subnets[id_]["Tags"]
    for ids in (place.private, place.public):
        assert len({subnets[id_]["AvailabilityZone"] for id_ in ids}) == 3
    assert [subnets[id_]["CidrBlock"] for id_ in place.private] == list(network.PRIVATE)


def test_zones_without_eks_are_skipped(moto, monkeypatch):
    def ids() -> set[str]:
        named = aws.list_all("ec2", "describe_availability_zones", "AvailabilityZones")
        return {zone["ZoneId"] for zone in named if zone["ZoneName"] in network._zones()}

    assert len(ids()) == 3
    here = sorted(ids())[0]
    monkeypatch.setattr(network, "_ZONES_WITHOUT_EKS", (here,))
    assert len(ids()) == 3 and here not in ids()


def test_a_region_with_two_zones_is_rejected(moto, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-west-1")
    with pytest.raises(SettingsError, match="us-west-1 has 2 zones"):
        network.ensure()


def test_private_subnets_have_outbound_access_only_through_the_nat_gateway(moto):
    place = network.ensure()
    targets = {}
    for table in ec2.tagged("route table"):
        route = next(r for r in table["Routes"] if r["DestinationCidrBlock"] == "0.0.0.0/0")
        for association in table["Associations"]:
            targets[association["SubnetId"]] = route.get("NatGatewayId") or route.get("GatewayId")
    assert all(targets[subnet].startswith("nat-") for subnet in place.private)
    assert all(targets[subnet].startswith("igw-") for subnet in place.public)


def test_function_code_is_the_folder_unchanged(moto):
    function.ensure()
    code = function.package()
    assert function.package() == code
    with zipfile.ZipFile(io.BytesIO(code)) as archive:
        assert sorted(archive.namelist()) == ["faults.py", "hello_world.py", "page.html"]
    assert function.get().code_sha256 == base64.b64encode(hashlib.sha256(code).digest()).decode()


def test_function_is_updated_when_its_source_changes(moto, monkeypatch, tmp_path, capsys):
    before = function.ensure()
    (tmp_path / "hello_world.py").write_text("def lambda_handler(event, context): return {}\n")
    monkeypatch.setattr(function, "SOURCE", tmp_path)
    capsys.readouterr()
    after = function.ensure()
    assert "update-function-code" in capsys.readouterr().out
    assert (after.arn, after.code_sha256 != before.code_sha256) == (before.arn, True)


def test_permission_names_the_current_target_group(moto):
    make_all()
    old = load_balancer.get().target_group_arn
    function.allow_load_balancer(old + "-another")
    function.allow_load_balancer(old)
    policy = aws.call("lambda", "get_policy", FunctionName=function.name())["Policy"]
    assert old in policy
    assert old + "-another" not in policy


def test_certificate_is_imported_again_when_the_file_changes(moto, tmp_path, capsys):
    arn = acm.ensure()
    (tmp_path / "build" / "certs" / "alb.crt").unlink()
    capsys.readouterr()
    assert acm.ensure() == arn
    assert "acm import-certificate" in capsys.readouterr().out
    held = aws.call("acm", "get_certificate", CertificateArn=arn)["Certificate"]
    assert held.strip() == (tmp_path / "build" / "certs" / "alb.crt").read_text().strip()


def test_listeners_serve_http_and_https_with_our_certificate(moto):
    make_all()
    rows = load_balancer.listeners().rows
    assert [row[:3] for row in rows] == [["80", "HTTP", ""], ["443", "HTTPS", load_balancer.TLS_POLICY]]
    (listener,) = [
        each for each in load_balancer.listeners_of(load_balancer.get().arn) if each["Port"] == 443
    ]
    assert [each["CertificateArn"] for each in listener["Certificates"]] == [acm.get()]


def test_record_is_an_alias_in_the_domains_zone(moto, monkeypatch):
    monkeypatch.setenv("TUTORIAL_DOMAIN", "tutorial.example.org")
    make_all()
    record = dns.find()
    assert record["Name"] == "alb.tutorial.example.org."
    assert record["AliasTarget"]["DNSName"].rstrip(".") == load_balancer.get().dns_name


def test_load_balancer_drops_invalid_headers(moto):
    make_all()
    arn = load_balancer.get().arn
    answer = aws.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=arn)
    there = {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}
    assert there.items() >= load_balancer.ATTRIBUTES.items()


def test_private_zone_belongs_to_the_vpc_and_does_not_shadow_a_public_one(moto, monkeypatch):
    domain = current().TUTORIAL_DOMAIN
    aws.call("route53", "create_hosted_zone", Name=domain, CallerReference=f"public {domain}")
    monkeypatch.setenv("TUTORIAL_ROUTE53_ZONE", "private")
    make_all()
    found = aws.call("route53", "get_hosted_zone", Id=route53.find())
    assert found["HostedZone"]["Config"]["PrivateZone"]
    assert [vpc["VPCId"] for vpc in found["VPCs"]] == [network.get().vpc_id]
    host, name = current().alb_host, load_balancer.get().dns_name
    assert dns.outside() == ["--connect-to", f"{host}::{name}:"]
    monkeypatch.setenv("TUTORIAL_ROUTE53_ZONE", "public")
    assert dns.outside() == []
    assert route53.find() != found["HostedZone"]["Id"].rpartition("/")[2]


def test_acm_issues_once_the_domain_has_its_validation_record(moto, monkeypatch, capsys):
    monkeypatch.setenv("TUTORIAL_CERTIFICATE", "acm")
    monkeypatch.setattr("moto.settings.ACM_VALIDATION_WAIT", 0)
    mine = aws.call("route53", "create_hosted_zone", Name=current().TUTORIAL_DOMAIN, CallerReference="mine")
    mine = mine["HostedZone"]["Id"].rpartition("/")[2]
    network.ensure()
    arn = acm.ensure()
    assert f"\n# → /hostedzone/{mine}\n" in capsys.readouterr().out  # queried, in the form that commands use
    described = aws.call("acm", "describe_certificate", CertificateArn=arn)["Certificate"]
    assert (described["Type"], described["Status"]) == ("AMAZON_ISSUED", "ISSUED")
    wanted = described["DomainValidationOptions"][0]["ResourceRecord"]
    (record,) = route53.records(mine)
    assert (record["Name"], record["Type"]) == (wanted["Name"], "CNAME")
    assert record["ResourceRecords"] == [{"Value": wanted["Value"]}]
    capsys.readouterr()
    assert acm.ensure() == arn
    assert "request-certificate" not in capsys.readouterr().out
    cleanup.everything()
    assert route53.records(mine) == []
    assert route53.find() == mine


def test_certificate_of_another_type_is_not_reused(moto, monkeypatch):
    imported = acm.ensure()
    monkeypatch.setenv("TUTORIAL_CERTIFICATE", "acm")
    monkeypatch.setattr("moto.settings.ACM_VALIDATION_WAIT", 0)
    with pytest.raises(PrerequisiteError):
        acm.get()
    assert acm.ensure() != imported


@pytest.mark.parametrize(
    ("look_up", "first"),
    [
        (network.get, "00-introduction"),
        (function.get, "01-create-the-lambda-function"),
        (acm.get, "01-create-the-lambda-function"),
        (load_balancer.get, "01-create-the-lambda-function"),
        (eks.get, "02-deploy-istio-in-eks"),
    ],
)
def test_prerequisite_error_names_the_notebook_to_run(moto, look_up, first):
    with pytest.raises(PrerequisiteError, match=f"Run {first} first"):
        look_up()


def test_load_balancer_without_its_network_is_a_prerequisite_error(moto):
    with pytest.raises(PrerequisiteError, match="no VPC tagged Project=test-"):
        load_balancer.ensure()


def test_api_error_has_the_services_code_and_message(moto):
    with pytest.raises(ApiError) as refused:
        aws.call("eks", "describe_cluster", name="nobody")
    assert refused.value.code == "ResourceNotFoundException"
    assert "aws eks describe-cluster" in str(refused.value)


class AnswerAll(web.Handler):
    """Any AWS service responds with this status and body."""

    status, body = 403, ""

    def do_POST(self) -> None:
        self.answer(self.status, self.body.encode())

    do_GET = do_POST


@pytest.fixture
def answering(monkeypatch):
    with web.serving(web.on_loopback(AnswerAll)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "from an hour ago")
        monkeypatch.setattr("helpers.aws._RETRIES", {"mode": "standard", "max_attempts": 1})
        yield AnswerAll


def test_expired_credentials_error_says_how_to_sign_in_again(answering, monkeypatch):
    error = "<Error><Code>ExpiredToken</Code><Message>The security token is expired</Message></Error>"
    monkeypatch.setattr(answering, "body", f"<ErrorResponse>{error}</ErrorResponse>")
    with pytest.raises(ApiError, match=r"ExpiredToken: .*expired\nTry: sign in .*it continues") as refused:
        aws.account_id()
    assert refused.value.code == "ExpiredToken"


def test_a_response_that_is_not_from_aws_is_unreachable(answering, monkeypatch):
    monkeypatch.setattr(
        answering, "body", "<!doctype html><title>Please sign in to the hotel's network</title>"
    )
    with pytest.raises(UnreachableError, match="hotel"):
        aws.account_id()


def test_missing_credentials_error_says_how_to_get_them(monkeypatch, tmp_path):
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-3")  # a client that no other test has used
    with pytest.raises(UnreachableError, match=r"no AWS credentials.*\n.*aws sso login"):
        aws.account_id()
    monkeypatch.setenv("AWS_PROFILE", "nobody")  # cached credentials are discarded
    with pytest.raises(UnreachableError, match=r"nobody.*could not be found"):
        aws.account_id()


def test_aws_login_credentials_work(monkeypatch, tmp_path):
    """The AWS CLI's `aws login` caches a session in a file; botocore reads it with its extra `crt`."""
    user, config = "arn:aws:iam::123456789012:user/reader", tmp_path / "config"
    config.write_text(f"[default]\nlogin_session = {user}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_LOGIN_CACHE_DIRECTORY", str(tmp_path))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with pytest.raises(UnreachableError, match=r"no AWS credentials.*'aws login'(.|\n)*\n.*aws login"):
        aws.credentials()
    keys = {"accessKeyId": "EXAMPLE", "secretAccessKey": "example", "sessionToken": "example"}
    session = {
        "accessToken": keys | {"accountId": "123456789012", "expiresAt": "2099-01-01T00:00:00Z"},
        "refreshToken": "example",
        "dpopKey": "example",
        "clientId": "arn:aws:signin:::devtools/same-device",
    }
    (tmp_path / f"{hashlib.sha256(user.encode()).hexdigest()}.json").write_text(json.dumps(session))
    assert aws.credentials().access_key == "EXAMPLE"


def test_unreachable_endpoint_error_says_what_to_check(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setattr("helpers.aws._RETRIES", {"mode": "standard", "max_attempts": 1})
    with pytest.raises(UnreachableError, match="AWS_ENDPOINT_URL"):
        aws.account_id()


def test_clean_up_leaves_nothing_and_can_be_repeated(moto, capsys):
    make_all()
    assert {resource.kind for resource in cleanup.listing()} >= {"VPC", "function", "load balancer", "role"}
    cleanup.everything()
    assert "Nothing is left in either cloud" in capsys.readouterr().out
    assert cleanup.listing() == []
    cleanup.everything()
    assert capsys.readouterr().out == "Nothing exists: nothing to delete\n"


def test_clean_up_deletes_what_kubernetes_left_in_the_vpc(moto):
    place = network.ensure()
    aws.call("ec2", "create_network_interface", SubnetId=place.private[0], Description="aws-K8S-left")
    aws.call("ec2", "create_security_group", GroupName="k8s-elb-a1", Description="x", VpcId=place.vpc_id)
    cleanup.everything()
    assert cleanup.listing() == []
    mine = [{"Name": "vpc-id", "Values": [place.vpc_id]}]
    assert aws.list_all("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=mine) == []


def test_clean_up_keeps_what_is_not_ours(moto):
    theirs = aws.call("ec2", "create_vpc", CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    domain = current().TUTORIAL_DOMAIN
    theirs_too = aws.call("route53", "create_hosted_zone", Name=domain, CallerReference=domain)
    make_all()
    cleanup.everything()
    assert any(vpc["VpcId"] == theirs for vpc in aws.list_all("ec2", "describe_vpcs", "Vpcs"))
    assert route53.find() == theirs_too["HostedZone"]["Id"].rpartition("/")[2]
    assert dns.find() is None


def test_two_tutorials_in_one_account_are_isolated(moto, monkeypatch):
    ours, name = network.ensure(), current().TUTORIAL_NAME
    monkeypatch.setenv("TUTORIAL_NAME", "another")
    with pytest.raises(PrerequisiteError):
        network.get()
    network.ensure()
    cleanup.everything()
    monkeypatch.setenv("TUTORIAL_NAME", name)
    assert network.get() == ours
